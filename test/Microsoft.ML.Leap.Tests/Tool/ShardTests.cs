using System.IO.Compression;
using System.Text;
using Parquet;
using Parquet.Schema;

namespace Leap.Tool.Tests;

[TestClass]
public sealed class ShardTests : ToolTest
{
    // Rows of any length, empty ones, quotes that hold lines and quotes, and characters of several bytes.
    private static readonly string[] Texts = ["a", "", "two words", "she said \"no\"\nand left, \"\"", "日本語", new string('x', 300), "\"", "ä\n\n\nb", "end"];

    [TestMethod]
    [DataRow("csv", "\n")]
    [DataRow("csv", "\r\n")]
    [DataRow("jsonl", "\n")]
    [DataRow("txt", "\n")]
    public void Read_AllShards_GiveEachRowOnceInOrder(string extension, string lineEnd)
    {
        string[] paths = [MakeFile($"a.{extension}", lineEnd, 1), MakeFile($"b.{extension}", lineEnd, 3), MakeFile($"c.{extension}", lineEnd, 0)];
        RowReader reader = MakeReader(paths);
        string[] all = [.. reader.Read().Select(Show)];
        Assert.IsNotEmpty(all);

        foreach (int count in (int[])[1, 2, 3, 5, 7, 16, 64, 1000])
        {
            string[] joined = [.. Enumerable.Range(1, count).SelectMany(index => reader.Read(new Shard(index, count))).Select(Show)];
            CollectionAssert.AreEqual(all, joined, $"{count} shards");
        }
    }

    [TestMethod]
    public void Read_CompressedFiles_EachGoesToOneShard()
    {
        string[] paths = [.. Enumerable.Range(0, 3).Select(i => MakeCompressedFile($"{i}.txt.gz", $"row {i}\nanother {i}\n"))];
        RowReader reader = MakeReader(paths);

        string[][] shards = [.. Enumerable.Range(1, 3).Select(index => reader.Read(new Shard(index, 3)).Select(Show).ToArray())];

        for (int i = 0; i < 3; i++)
            CollectionAssert.AreEqual(new[] { $"row {i}", $"another {i}" }, shards[i]);
    }

    [TestMethod]
    public async Task Read_ParquetRowGroups_EachGoesToOneShard()
    {
        string[] paths = [PathOf("a.parquet"), PathOf("b.parquet")];
        await WriteGroupsAsync(paths[0], 1, 40, 3, 200, 1);
        await WriteGroupsAsync(paths[1], 70, 70);
        RowReader reader = MakeReader(paths);
        string[] all = [.. reader.Read().Select(Show)];
        Assert.HasCount(385, all);

        foreach (int count in (int[])[1, 2, 3, 7, 16, 1000])
        {
            string[][] shards = [.. Enumerable.Range(1, count).Select(index => reader.Read(new Shard(index, count)).Select(Show).ToArray())];

            CollectionAssert.AreEqual(all, shards.SelectMany(rows => rows).ToArray(), $"{count} shards");
            string[] groups = [.. shards.SelectMany(rows => rows.Select(row => row[..row.IndexOf(" row", StringComparison.Ordinal)]).Distinct())];
            CollectionAssert.AllItemsAreUnique(groups, $"{count} shards");
            Assert.HasCount(7, groups);
            Assert.IsGreaterThanOrEqualTo(Math.Min(count, 3), shards.Count(rows => rows.Length > 0), $"of {count} shards these have rows");
        }
    }

    [TestMethod]
    public async Task Score_MoreShardsThanRowGroups_EachIsAFileOfTheSameColumns()
    {
        string path = PathOf("a.parquet"), output = PathOf("out.parquet");
        await WriteGroupsAsync(path, 2, 3);

        for (int i = 1; i <= 5; i++)
            ToolRun.Good("score", Model, path, "-o", output, "--shard", $"{i}/5");

        ToolRun.Good("score", Model, path, "-o", PathOf("whole.parquet"));
        string[] files = [.. Directory.GetFiles(Folder, "out-*").Order(StringComparer.Ordinal)];
        Assert.HasCount(5, files);
        CollectionAssert.AreEqual(MakeReader([PathOf("whole.parquet")]).Read().Select(Show).ToArray(), MakeReader(files).Read().Select(Show).ToArray());
        foreach (string file in files)
        {
            await using ParquetReader reader = await ParquetReader.CreateAsync(file);
            Assert.AreEqual("text, LogLikelihood, TokenCount, Perplexity", string.Join(", ", reader.Schema.Fields.Select(field => field.Name)));
        }

        ToolRun.Bad(2, "a.txt does not tell", "score", Model, Write("a.txt", "one\n"), "-o", output, "--shard", "1/2");
    }

    [TestMethod]
    [DataRow("utf-16")]
    [DataRow(null, DisplayName = "byte order mark alone")]
    public void Read_Utf16_FirstShardHasAll(string? encoding)
    {
        foreach (string name in (string[])["a.txt", "a.csv"])
        {
            string path = PathOf(name);
            File.WriteAllText(path, name == "a.csv" ? "text\none\ntwo\nthree\n" : "one\ntwo\nthree\n", Encoding.Unicode);
            RowReader reader = MakeReader([path]) with { Encoding = RowReader.FindEncoding(encoding) };

            CollectionAssert.AreEqual(new[] { "one", "two", "three" }, reader.Read(new Shard(1, 2)).Select(Show).ToArray());
            Assert.IsEmpty(reader.Read(new Shard(2, 2)));
        }
    }

    [TestMethod]
    [DataRow("0/4")]
    [DataRow("5/4")]
    [DataRow("1")]
    [DataRow("a/b")]
    [DataRow("1/2/3")]
    [DataRow("-1/2")]
    public void Parse_NoShard_SaysWhatOneIs(string text) =>
        StringAssert.Contains(Assert.ThrowsExactly<UsageException>(() => Shard.Parse(text)).Message, text);

    [TestMethod]
    public void NameFile_Shard_SortsAsTheyFollow() =>
        Assert.AreEqual(Path.Combine("out", "scores-00003-of-00016.jsonl"), Shard.Parse("3/16").NameFile(Path.Combine("out", "scores.jsonl")));

    private static string Show(Row row) => string.Join('|', row.Fields.Select(field => Row.Format(field.Value)));

    private static RowReader MakeReader(string[] paths) => new(InputFile.Find(paths, null), new TextField(null), RowReader.Utf8);

    private string MakeFile(string name, string lineEnd, int copies)
    {
        var text = new StringBuilder();
        bool isCsv = name.EndsWith(".csv", StringComparison.Ordinal);
        if (isCsv)
            text.Append("id,text").Append(lineEnd);
        for (int i = 0; i < copies * Texts.Length; i++)
        {
            string each = Texts[i % Texts.Length];
            text.Append(isCsv ? $"{i},\"{each.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
                : name.EndsWith(".jsonl", StringComparison.Ordinal) ? System.Text.Json.JsonSerializer.Serialize(new { text = each, i })
                : each);
            text.Append(lineEnd);
        }

        return Write(name, text.ToString());
    }

    private static async Task WriteGroupsAsync(string path, params int[] rows)
    {
        var text = new DataField<string>("text");
        await using FileStream file = File.Create(path);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new ParquetSchema(text), file);
        for (int i = 0; i < rows.Length; i++)
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync(text, [.. Enumerable.Range(0, rows[i]).Select(row => $"{Path.GetFileName(path)} group {i} row {row}")]);
            group.CompleteValidate();
        }
    }

    private string MakeCompressedFile(string name, string text)
    {
        string path = PathOf(name);
        using var stream = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        stream.Write(Encoding.UTF8.GetBytes(text));
        return path;
    }
}
