using System.IO.Compression;
using System.Text;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class Wikitext2CorpusTests
{
    private const int BlockSize = 64;
    private static readonly LeapTokenizer Bytes = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    [TestMethod]
    public void Pack_LinesOfManyGroups_KeepsTheWholeBlocksOfEachGroup()
    {
        using var folder = new TemporaryFolder();
        string[] lines = [.. Lines(2503)];
        string path = Write(folder, "text", string.Join('\n', lines));

        // Each byte is its own id, and 256 ends a line.
        List<int> expected = [];
        List<int> group = [];
        for (int i = 0; i < lines.Length; i++)
        {
            foreach (byte b in Encoding.UTF8.GetBytes(lines[i]))
                group.Add(b);
            group.Add(256);
            if (i % 1000 != 999 && i != lines.Length - 1)
                continue;
            expected.AddRange(group.Take(group.Count - group.Count % BlockSize));
            group.Clear();
        }

        CollectionAssert.AreEqual(expected, Pack(path));
        Assert.AreNotEqual(0, (lines.Sum(line => Encoding.UTF8.GetByteCount(line) + 1) - expected.Count) / BlockSize);
    }

    [TestMethod]
    public void Pack_FinalLineBreak_StartsNoFurtherLine()
    {
        using var folder = new TemporaryFolder();
        string text = string.Join('\n', Lines(40));
        CollectionAssert.AreEqual(Pack(Write(folder, "a", text)), Pack(Write(folder, "b", text + "\n")));
    }

    [TestMethod]
    public void Pack_PackedFile_EqualsPlainFile()
    {
        using var folder = new TemporaryFolder();
        string text = string.Join('\n', Lines(1500));
        string packed = Path.Combine(folder.Path, "text.gz");
        using (var stream = new GZipStream(File.Create(packed), CompressionLevel.Fastest))
            stream.Write(Encoding.UTF8.GetBytes(text));

        CollectionAssert.AreEqual(Pack(Write(folder, "text", text)), Pack(packed));
    }

    [TestMethod]
    public void Pack_TextShorterThanABlock_IsRefusedByItsPath()
    {
        using var folder = new TemporaryFolder();
        string path = Write(folder, "text", "short");
        var exception = Assert.ThrowsExactly<InvalidOperationException>(() => Pack(path));
        StringAssert.Contains(exception.Message, path);
    }

    [TestMethod]
    public void Find_PlainPackedOrNeither_TakesWhatIsThere()
    {
        using var folder = new TemporaryFolder();
        var exception = Assert.ThrowsExactly<FileNotFoundException>(() => Wikitext2Corpus.Find(folder.Path, "train"));
        StringAssert.Contains(exception.Message, "wiki.train.tokens.gz");

        string packed = Write(folder, "wiki.train.tokens.gz", "");
        Assert.AreEqual(packed, Wikitext2Corpus.Find(folder.Path, "train"));

        string plain = Write(folder, "wiki.train.tokens", "");
        Assert.AreEqual(plain, Wikitext2Corpus.Find(folder.Path, "train"));
    }

    [TestMethod]
    [DataRow("train", 1334)]
    [DataRow("valid", 132)]
    public void Pack_PublishedFile_MakesTheOriginalsBlocks(string split, int expected)
    {
        LeapTokenizer tokenizer = TokenizerOptions.SentencePiece(TestData.Find("t5", "spiece.model")).Create([], CancellationToken.None);
        using TokenStore ids = Wikitext2Corpus.Pack(Wikitext2Corpus.Find(TestData.Find("wikitext-2"), split), tokenizer, 2048);

        Assert.AreEqual(expected, StreamBlocks.Separate(ids, 2048).Count);
    }

    private static IEnumerable<string> Lines(int count) =>
        Enumerable.Range(0, count).Select(i => i % 7 == 0 ? "" : i % 5 == 0 ? $" = é {i} =\r" : new string('a', i * i % 90));

    private static string Write(TemporaryFolder folder, string name, string text)
    {
        string path = Path.Combine(folder.Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static int[] Pack(string path)
    {
        using TokenStore store = Wikitext2Corpus.Pack(path, Bytes, BlockSize);
        int[] ids = new int[store.Count];
        store.Read(0, ids);
        return ids;
    }
}
