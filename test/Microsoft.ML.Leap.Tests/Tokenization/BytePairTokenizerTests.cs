using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class BytePairTokenizerTests
{
    private const string Text = "the cat sat on the mat, the rat ate the cat; banana bananas. It's the cat's hat's brim. 日本 日本 😀 😀";

    [TestMethod]
    public void Decode_HardTexts_GivesThemBack()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(300, Text);
        foreach (string text in TokenizerFixture.HardTexts)
            Assert.AreEqual(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [TestMethod]
    public void Decode_RandomText_GivesItBack()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(300, Text);
        var random = new Random(3);
        var text = new StringBuilder();
        for (int i = 0; i < 20000; i++)
            text.Append(new Rune(random.Next(2) == 0 ? random.Next(0xD800) : random.Next(0xE000, 0x110000)).ToString());
        Assert.AreEqual(text.ToString(), tokenizer.Decode(tokenizer.Encode(text.ToString())));
    }

    [TestMethod]
    public void Encode_LoneSurrogate_BecomesReplacementCharacter()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(300, Text);
        Assert.AreEqual("a\uFFFDb", tokenizer.Decode(tokenizer.Encode("a\ud83db")));
    }

    [TestMethod]
    public void Encode_LearnedVocabulary_MatchesBpeTokenizer()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(330, Text);
        BpeTokenizer oracle = LoadOracle(TokenizerFixture.Save(tokenizer));
        foreach (string text in TokenizerFixture.HardTexts.Append(Text).Where(t => !t.Contains("𝒜", StringComparison.Ordinal)))
            CollectionAssert.AreEqual(oracle.EncodeToIds(text).ToArray(), tokenizer.Encode(text).ToArray(), text);
    }

    [TestMethod]
    public void Encode_RepeatedCalls_GiveTheSame()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(330, Text);
        int[] first = [.. tokenizer.Encode(Text)];
        Parallel.For(0, 50, _ => CollectionAssert.AreEqual(first, tokenizer.Encode(Text).ToArray()));
    }

    [TestMethod]
    public void Encode_WordOfHalfAMillionLetters_IsNotQuadratic()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(300, new string('a', 100));
        var watch = Stopwatch.StartNew();
        string text = new('a', 500_000);
        Assert.AreEqual(text, tokenizer.Decode(tokenizer.Encode(text)));
        Assert.IsLessThan(20, watch.Elapsed.TotalSeconds);
    }

    [TestMethod]
    public void GetTokenText_PartOfACharacter_ShowsBytes()
    {
        LeapTokenizer tokenizer = TokenizerFixture.Learn(257);
        Assert.AreEqual("<0xE2>", tokenizer.GetTokenText(0xE2));
        Assert.AreEqual("a", tokenizer.GetTokenText('a'));
        Assert.AreEqual("<|endoftext|>", tokenizer.GetTokenText(tokenizer.EndOfTextId));
    }

    [TestMethod]
    public void Encode_SpecialLiterals_AreOneTokenWithTheLastIds()
    {
        LeapTokenizer tokenizer = TokenizerOptions.ByteLevelBpe(300, ["<unk>", "<unk>x"]).Create([Text.AsMemory()], CancellationToken.None);
        int unknown = tokenizer.VocabularySize - 2;
        CollectionAssert.AreEqual((int[])['a', unknown, 'b', unknown + 1], tokenizer.Encode("a<unk>b<unk>x").ToArray());
        Assert.AreEqual("a<unk>b<unk>x", tokenizer.Decode(tokenizer.Encode("a<unk>b<unk>x")));
        Assert.AreEqual(tokenizer.ToString(), TokenizerFixture.Load(TokenizerFixture.Save(tokenizer)).ToString());
    }

    [TestMethod]
    public void Encode_Gpt2_MatchesPublishedIds()
    {
        LeapTokenizer tokenizer = LeapTokenizer.FromFolder(TestData.Find("gpt2"));
        Assert.AreEqual(50257, tokenizer.VocabularySize);
        Assert.AreEqual(50256, tokenizer.EndOfTextId);
        CollectionAssert.AreEqual((int[])[50256], tokenizer.Encode("<|endoftext|>").ToArray());
        foreach ((string text, int[] ids) in GoldenIds.Read("gpt2"))
        {
            CollectionAssert.AreEqual(ids, tokenizer.Encode(text).ToArray(), text);
            Assert.AreEqual(text, tokenizer.Decode(ids));
        }
    }

    [TestMethod]
    public void Encode_Gpt2OnWikiText_MatchesBpeTokenizer()
    {
        LeapTokenizer tokenizer = LeapTokenizer.FromFolder(TestData.Find("gpt2"));
        BpeTokenizer oracle = LoadOracle(TokenizerFixture.Save(tokenizer));
        string text = TestData.ReadText("wikitext-2", "wiki.valid.tokens.gz");
        CollectionAssert.AreEqual(oracle.EncodeToIds(text).ToArray(), tokenizer.Encode(text).ToArray());
    }

    private static BpeTokenizer LoadOracle(Dictionary<string, byte[]> files)
    {
        Dictionary<string, int> vocabulary = JsonSerializer.Deserialize<Dictionary<string, int>>(files["vocab.json"])!;
        string[] lines = Encoding.UTF8.GetString(files["merges.txt"]).Split('\n');
        return BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = lines[1..^1],
            ByteLevel = true,
            PreTokenizer = RobertaPreTokenizer.Instance,
        });
    }
}
