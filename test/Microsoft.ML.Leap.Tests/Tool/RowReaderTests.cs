using System.IO.Compression;
using System.Text;

namespace Leap.Tool.Tests;

[TestClass]
public sealed class RowReaderTests : ToolTest
{
    [TestMethod]
    public void Read_Lines_AreTexts() => CollectionAssert.AreEqual(new[] { "one", "", "zwei ä", "three" }, Texts(Write("a.log", "one\n\r\nzwei ä\nthree")));

    [TestMethod]
    public void Read_Document_IsOneText() => CollectionAssert.AreEqual(new[] { "one\ntwo\n" }, Texts(Write("a.txt", "one\ntwo\n"), format: RowFormat.Document));

    [TestMethod]
    public void Read_Csv_QuotesHoldDelimitersQuotesAndLines()
    {
        string path = Write("a.csv", "\uFEFFid,text\n1,\"a, \"\"b\"\"\nc\"\n\n2,d\r\n");

        CollectionAssert.AreEqual(new[] { "a, \"b\"\nc", "d" }, Texts(path));
        Row first = Read(path).First();
        CollectionAssert.AreEqual(new[] { "id", "text" }, first.Fields.Select(field => field.Key).ToArray());
        Assert.AreEqual("1", first.Fields.First().Value);
    }

    [TestMethod]
    [DataRow("id,text\n1,a\n2,\"b\n3,c\n")]
    [DataRow("id,text\n1,a\n2,5\" pipe\n3,c\n")]
    public void Read_CsvWithAQuoteThatDoesNotEnd_NamesTheLine(string content)
    {
        string path = Write("a.csv", content);

        FormatException e = Assert.ThrowsExactly<FormatException>(() => Texts(path));
        StringAssert.Contains(e.Message, "a.csv, line 3: a quote in this row does not end");
    }

    [TestMethod]
    public void Read_Tsv_TextByName() => CollectionAssert.AreEqual(new[] { "x y" }, Texts(Write("a.tsv", "Body\tother\nx y\tz\n"), column: "Body"));

    [TestMethod]
    public void Read_Jsonl_NullIsNoText()
    {
        string path = Write("a.jsonl", "{\"text\": \"a\\nb\", \"n\": 1.50}\n\n{\"n\": [1], \"text\": null}\n");

        CollectionAssert.AreEqual(new[] { "a\nb", null }, Texts(path));
        Assert.AreEqual("1.50", Row.Format(Read(path).First().Fields.Last().Value));
    }

    [TestMethod]
    public void Read_Gzip_AsWithout()
    {
        string path = PathOf("a.csv.gz");
        using (var stream = new GZipStream(File.Create(path), CompressionLevel.Fastest))
            stream.Write("text\nhello\n"u8);

        CollectionAssert.AreEqual(new[] { "hello" }, Texts(path));
    }

    [TestMethod]
    public void Read_Encoding_IsTheNamedOne()
    {
        string path = PathOf("a.txt");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes("grün\n"));

        CollectionAssert.AreEqual(new[] { "grün" }, Read(path, encoding: "latin1").Select(row => row.Text).ToArray());
        FormatException fault = Assert.ThrowsExactly<FormatException>(() => Texts(path));
        StringAssert.Contains(fault.Message, "--encoding");
        StringAssert.Contains(fault.Message, path);
    }

    [TestMethod]
    public void Find_Pattern_FilesInOrder()
    {
        Directory.CreateDirectory(PathOf("x/y"));
        Write("x/b.txt", "");
        Write("x/a.txt", "");
        Write("x/y/c.txt", "");
        Write("x/y/c.csv", "");

        Assert.AreEqual("a.txt b.txt", Find("x/*.txt"));
        Assert.AreEqual("a.txt b.txt c.txt", Find("x/**/*.txt"));
        Assert.AreEqual("a.txt b.txt", Find("x/?.txt"));
        Assert.AreEqual("c.txt", Find("x/?/*.txt"));
        Assert.AreEqual("a.txt b.txt c.txt", Find("?/**/*.txt"));
        Assert.AreEqual("c.txt", Find("**/y/?.txt"));

        Directory.CreateDirectory(PathOf("xx.1"));
        Write("xx.1/d.txt", "");
        Assert.AreEqual("a.txt b.txt", Find("?/?.txt"));
        Assert.AreEqual("d.txt", Find("x?.?/?.txt"));
        Assert.AreEqual("c.txt", Find("**/?/?/?.txt"));

        string Find(string pattern) => string.Join(' ', InputFile.Find([Path.Combine(Folder, pattern)], null).Select(file => Path.GetFileName(file.Path)));
    }

    [TestMethod]
    [DataRow("a.csv", "a,b\n1,2\n", "'a', 'b'", DisplayName = "which column")]
    [DataRow("a.csv", "text,b\n1,2\n3\n", "line 3: the row has 1 fields, the header 2", DisplayName = "fields")]
    [DataRow("a.jsonl", "{\"text\":\"a\"}\n{\"text\":1}\n", "line 2: the text must be a string or null, but is a number", DisplayName = "text is a number")]
    [DataRow("a.jsonl", "[1]\n", "line 1: must be a JSON object, but is an array", DisplayName = "no object")]
    [DataRow("a.jsonl", "{\"text\": nonsense}\n", "line 1: no JSON, at byte 11", DisplayName = "no JSON")]
    [DataRow("a.parquet", "PAR?", "is no Parquet file", DisplayName = "no Parquet")]
    public void Read_BadFile_SaysWhereAndWhy(string name, string text, string expected)
    {
        string path = Write(name, text);

        Exception? fault = null;
        try
        {
            Texts(path);
        }
        catch (Exception exception) when (exception is FormatException or UsageException)
        {
            fault = exception;
        }

        Assert.IsNotNull(fault);
        StringAssert.Contains(fault.Message, expected);
        StringAssert.Contains(fault.Message, path);
    }

    [TestMethod]
    public void Find_NoFiles_SaysSo()
    {
        StringAssert.Contains(Assert.ThrowsExactly<UsageException>(() => InputFile.Find([Folder], null)).Message, "is a folder");
        StringAssert.Contains(Assert.ThrowsExactly<UsageException>(() => InputFile.Find([PathOf("*.none")], null)).Message, "fits no file");
        StringAssert.Contains(Assert.ThrowsExactly<UsageException>(() => InputFile.Find(["-", "-"], null)).Message, "only once");
        Assert.ThrowsExactly<FileNotFoundException>(() => InputFile.Find([PathOf("none")], null));
        StringAssert.Contains(Assert.ThrowsExactly<UsageException>(() => RowReader.FindEncoding("klingon")).Message, "klingon");
    }

    private static string?[] Texts(string path, RowFormat? format = null, string? column = null) => [.. Read(path, format, column).Select(row => row.Text)];

    private static IEnumerable<Row> Read(string path, RowFormat? format = null, string? column = null, string? encoding = null) =>
        new RowReader(InputFile.Find([path], format), new TextField(column), RowReader.FindEncoding(encoding)).Read();
}
