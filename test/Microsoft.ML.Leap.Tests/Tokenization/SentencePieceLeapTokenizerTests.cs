using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class SentencePieceLeapTokenizerTests
{
    private static readonly string[] Pieces = ["\u2581", "\u2581ab", "a", "b", "c"];

    [TestMethod]
    [DataRow(1, 2, 3)]
    [DataRow(-1, 1, 2)]
    public void Encode_ModelWithOrWithoutBeginning_GivesItsPieces(int beginningId, int endId, int firstPiece)
    {
        LeapTokenizer tokenizer = Create(TokenizerFixture.WriteSentencePieceModel(beginningId, endId, Pieces));
        Assert.AreEqual(firstPiece + Pieces.Length, tokenizer.VocabularySize);
        Assert.AreEqual(endId, tokenizer.EndOfTextId);
        CollectionAssert.AreEqual((int[])[firstPiece + 1, firstPiece + 4], tokenizer.Encode("abc").ToArray());
        Assert.AreEqual("abc ab", tokenizer.Decode(tokenizer.Encode("abc ab")));
    }

    [TestMethod]
    public void Encode_RunOfUnknownCharacters_IsOneUnknownId()
    {
        LeapTokenizer tokenizer = Create(TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces));
        CollectionAssert.AreEqual((int[])[3, 0, 5, 0], tokenizer.Encode("xyzax").ToArray());
    }

    // Both orders of "-" and "---" have the same sum in single precision; before it is rounded, the second one's is greater.
    [TestMethod]
    public void Encode_SumsThatRoundToTheSame_TakesTheGreaterBeforeRounding()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, [("\u2581", -2.01229286f), ("-", -5.1290431f), ("---", -12.130167f)]);
        CollectionAssert.AreEqual((int[])[3, 5, 4], Create(model).Encode("----").ToArray());
    }

    [TestMethod]
    public void Encode_T5OnOddLines_BreaksTiesAsSentencePieceDoes()
    {
        LeapTokenizer tokenizer = LeapTokenizer.FromFolder(TestData.Find("t5"));
        string path = Path.Combine(AppContext.BaseDirectory, "Fixtures", "sentencepiece_ties.json");
        JsonArray rows = JsonNode.Parse(File.ReadAllText(path))!["texts"]!.AsArray();

        Assert.IsGreaterThan(100, rows.Count);
        foreach (JsonNode? row in rows)
        {
            string text = row!["text"]!.GetValue<string>();
            CollectionAssert.AreEqual(row["ids"]!.AsArray().GetValues<int>().ToArray(), tokenizer.Encode(text).ToArray(), text);
        }
    }

    [TestMethod]
    public void Encode_SpecialLiteral_SplitsTheTextAroundIt()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces);
        LeapTokenizer tokenizer = SentencePieceLeapTokenizer.Create(model, new Dictionary<string, int> { ["<unk>"] = 0 }, false, 2);
        int[] ids = [.. tokenizer.Encode("ab <unk><unk> ab<extra_id_0><extra_id_1>")];
        CollectionAssert.AreEqual((int[])[4, 0, 0, 4, 9, 8], ids);
        Assert.AreEqual("ab <unk> <unk> ab <extra_id_0> <extra_id_1>", tokenizer.Decode(ids));
    }

    [TestMethod]
    public void Create_ModelWithoutEnd_ThrowsFormatException()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, -1, Pieces);
        FormatException e = Assert.ThrowsExactly<FormatException>(() => Create(model));
        StringAssert.Contains(e.Message, "end piece");
    }

    [TestMethod]
    public void Create_CutOffAnywhere_ThrowsFormatExceptionOrReadsWholePieces()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces);
        for (int length = 0; length < model.Length; length++)
        {
            try
            {
                // A protocol buffer cut between two fields is a valid shorter one.
                Assert.IsLessThanOrEqualTo(3 + Pieces.Length, Create(model[..length]).VocabularySize);
            }
            catch (FormatException e)
            {
                Assert.IsFalse(string.IsNullOrWhiteSpace(e.Message));
            }
        }
    }

    [TestMethod]
    public void Create_EveryByteDamaged_RefusesOrEncodes()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces);
        for (int i = 0; i < model.Length; i++)
        {
            foreach (byte damage in (byte[])[0xFF, 0x80, 0x01, 0x02, 0x03, 0x06])
            {
                byte[] damaged = [.. model];
                damaged[i] ^= damage;
                RefuseOrEncode(damaged, $"byte {i} ^ {damage}");
            }
        }
    }

    // SentencePiece's field 2 of the normaliser's settings.
    [TestMethod]
    [DataRow("", true, DisplayName = "no rules")]
    [DataRow("00000000", false, DisplayName = "an empty trie")]
    [DataRow("04000000 00000000", false, DisplayName = "children outside")]
    [DataRow("08000000 00000000", false, DisplayName = "a length beyond the file")]
    [DataRow("0400", false, DisplayName = "cut off")]
    public void Create_RulesOfNormalisation_AreCheckedWhole(string hexadecimal, bool accepted)
    {
        byte[] rules = Convert.FromHexString(hexadecimal.Replace(" ", ""));
        byte[] model = [.. TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces), 3 << 3 | 2, (byte)(2 + rules.Length), 2 << 3 | 2, (byte)rules.Length, .. rules];

        if (accepted)
            CollectionAssert.AreEqual(Create(TokenizerFixture.WriteSentencePieceModel(1, 2, Pieces)).Encode("hello").ToArray(), Create(model).Encode("hello").ToArray());
        else
            StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => Create(model)).Message, "rules of normalisation");
    }

    // A rule of one byte ('a') whose text is where the value says: at 0 it is "b", behind the texts it is damaged.
    [TestMethod]
    [DataRow(0, true)]
    [DataRow(1, true)]
    [DataRow(2, false)]
    public void Create_RuleWithTextAt_MustBeWithinTheTexts(int at, bool accepted)
    {
        uint[] nodes = new uint[768];
        nodes[0] = 256u << 10;
        nodes[256 ^ 'a'] = (256u ^ 'a' ^ 512) << 10 | 1 << 8 | 'a';
        nodes[512] = (uint)at | 1u << 31;
        byte[] rules = [.. BitConverter.GetBytes(nodes.Length * 4), .. nodes.SelectMany(BitConverter.GetBytes), (byte)'b', 0];
        byte[] field = [2 << 3 | 2, .. Varint(rules.Length), .. rules];
        byte[] model = [.. TokenizerFixture.WriteSentencePieceModel(1, 2, "▁", "b"), 3 << 3 | 2, .. Varint(field.Length), .. field];

        if (accepted)
            Assert.AreEqual(at == 0, Create(model).Encode("a").Contains(4));
        else
            Assert.ThrowsExactly<FormatException>(() => Create(model));

        static byte[] Varint(int value) => [(byte)(value & 0x7F | 0x80), (byte)(value >> 7)];
    }

    [TestMethod]
    public void Encode_T5_MatchesPublishedIds()
    {
        LeapTokenizer tokenizer = LeapTokenizer.FromFolder(TestData.Find("t5"));
        Assert.AreEqual(32100, tokenizer.VocabularySize);
        Assert.AreEqual(1, tokenizer.EndOfTextId);
        Assert.AreEqual("</s>", tokenizer.GetTokenText(1));
        CollectionAssert.AreEqual((int[])[32099, 32000], tokenizer.Encode("<extra_id_0> <extra_id_99>").ToArray());
        CollectionAssert.AreEqual((int[])[8774, 2, 296], tokenizer.Encode("Hello <unk> world").ToArray());
        foreach ((string text, int[] ids) in GoldenIds.Read("t5"))
        {
            CollectionAssert.AreEqual(ids, tokenizer.Encode(text).ToArray(), text);
            Assert.AreEqual(text, tokenizer.Decode([.. ids, 1]));
        }
    }

    // Ids of SentencePiece 0.1.97.
    [TestMethod]
    [DataRow("a\u0001b \u001f", new[] { 703 })]
    [DataRow("a\tb\u200bc\u00a0", new[] { 3, 9, 3, 115, 3, 75 })]
    [DataRow("bn\u0132\u007f \u01e3", new[] { 3, 115, 29, 196, 683, 3, 2 })]
    [DataRow("c\uffe7i\u001ce\u01e1\u30d5 n .hnci", new[] { 3, 75, 2, 23, 15, 2, 3, 29, 3, 5, 107, 29, 75, 23 })]
    public void Encode_T5OnControlCharacters_MatchesSentencePiece(string text, int[] ids) =>
        CollectionAssert.AreEqual(ids, LeapTokenizer.FromFolder(TestData.Find("t5")).Encode(text).ToArray());

    [TestMethod]
    [DataRow("train")]
    [DataRow("valid")]
    public void Encode_T5OnWikiText_MatchesSentencePieceRun(string split)
    {
        TokenizerOptions options = TokenizerOptions.SentencePiece(TestData.Find("t5", "spiece.model"), new Dictionary<string, int>());
        LeapTokenizer tokenizer = options.Create([], CancellationToken.None);
        var text = new StringBuilder();
        (int tokens, int unknown) = (0, 0);
        foreach (string line in TestData.ReadLines("wikitext-2", $"wiki.{split}.tokens.gz"))
        {
            IReadOnlyList<int> ids = tokenizer.Encode(line);
            text.AppendJoin(' ', ids).Append('\n');
            tokens += ids.Count;
            unknown += ids.Count(id => id == 2);
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
        Assert.AreEqual(GoldenIds.ReadReferenceRun(split), (tokens, unknown, hash));
    }

    // The original notebook tokenised lines with an end token each, and cut every 1,000 lines into whole blocks of 2,048.
    [TestMethod]
    [DataRow("train", 1334)]
    [DataRow("valid", 132)]
    public void EncodeDocument_T5WithEndTokens_GivesTheNotebooksBlocks(string split, int blocks)
    {
        TokenizerOptions options = TokenizerOptions.SentencePiece(TestData.Find("t5", "spiece.model"), endTokenAfterEachLine: true);
        LeapTokenizer tokenizer = options.Create([], CancellationToken.None);
        int count = 0;
        foreach (string[] lines in TestData.ReadLines("wikitext-2", $"wiki.{split}.tokens.gz").Chunk(1000))
        {
            var ids = new List<int>();
            tokenizer.EncodeDocument(string.Join('\n', lines), ids);
            count += ids.Count / 2048;
        }

        Assert.AreEqual(blocks, count);
    }

    private static SentencePieceLeapTokenizer Create(byte[] model) => SentencePieceLeapTokenizer.Create(model, null, false, null);

    private static void RefuseOrEncode(byte[] model, string message)
    {
        SentencePieceLeapTokenizer tokenizer;
        try
        {
            tokenizer = Create(model);
        }
        catch (FormatException e)
        {
            Assert.IsFalse(string.IsNullOrWhiteSpace(e.Message), message);
            return;
        }

        foreach (string text in TokenizerFixture.HardTexts)
        {
            try
            {
                tokenizer.Decode(tokenizer.Encode(text));
            }
            catch (Exception e) when (e is IndexOutOfRangeException or ArgumentException or KeyNotFoundException or NullReferenceException)
            {
                Assert.Fail($"{message}, '{text}': {e}");
            }
        }
    }
}
