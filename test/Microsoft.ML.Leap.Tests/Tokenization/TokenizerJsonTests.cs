using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TokenizerJsonTests
{
    private const string Text = "the cat sat on the mat, the rat ate the cat; banana bananas. It's the cat's hat's brim. 日本 日本 😀 😀";

    // eng/check-tokenizer-json.sh compares many more texts with the packages themselves.
    [TestMethod]
    public void SaveForOthers_Learned_IsTheFileOfWhichHuggingFaceMakesTheSameIds()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizer_json.json");
        JsonNode fixture = JsonNode.Parse(File.ReadAllText(path))!;
        LeapTokenizer tokenizer = Learn("<unk>", "<unk>x", "<user>");

        Assert.IsTrue(JsonNode.DeepEquals(fixture["tokenizer.json"], Read(tokenizer)), "The file differs from the one that was checked.");
        foreach (JsonNode? row in fixture["texts"]!.AsArray())
        {
            string text = row!["text"]!.GetValue<string>();
            CollectionAssert.AreEqual(row["ids"]!.AsArray().GetValues<int>().ToArray(), tokenizer.Encode(text).ToArray(), text);
        }
    }

    [TestMethod]
    public void SaveForOthers_Gpt2_HasItsMergesWordsAndLiterals()
    {
        LeapTokenizer tokenizer = LeapTokenizer.FromFolder(TestData.Find("gpt2"));
        BpeTokenizer oracle = LoadOracle(Read(tokenizer)!);
        foreach (string text in TestData.ReadLines("wikitext-2", "wiki.valid.tokens.gz").Append("a <|endoftext|>b").Append("a  \u0085\u2003b"))
            CollectionAssert.AreEqual(oracle.EncodeToIds(text).ToArray(), tokenizer.Encode(text).ToArray(), text);
    }

    [TestMethod]
    public void SaveForOthers_Bytes_HasAnIdPerByteAndNoMerges()
    {
        JsonNode file = Read(TokenizerOptions.Bytes(["<user>"]).Create([], CancellationToken.None))!;
        JsonObject vocabulary = file["model"]!["vocab"]!.AsObject();

        Assert.HasCount(258, vocabulary);
        Assert.AreEqual('a', vocabulary["a"]!.GetValue<int>());
        Assert.AreEqual(' ', vocabulary["Ġ"]!.GetValue<int>());
        Assert.AreEqual(256, vocabulary["<|endoftext|>"]!.GetValue<int>());
        Assert.AreEqual(257, file["added_tokens"]![0]!["id"]!.GetValue<int>());
        Assert.HasCount(0, file["model"]!["merges"]!.AsArray());
        Assert.AreEqual("ByteLevel", file["pre_tokenizer"]!["type"]!.GetValue<string>());
    }

    [TestMethod]
    public void SaveForOthers_MergeThatStandsTwice_IsWrittenOnce()
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        string merges = Encoding.UTF8.GetString(files["merges.txt"]);
        files["merges.txt"] = Encoding.UTF8.GetBytes(merges + merges.Split('\n')[1] + "\n");

        string[] written = [.. Read(TokenizerFixture.Load(files))!["model"]!["merges"]!.AsArray().GetValues<string>()];
        CollectionAssert.AreEqual(merges.Split('\n')[1..^1], written);
    }

    // The file names tokens by their texts, and this literal has that of "a".
    [TestMethod]
    public void SaveForOthers_LiteralWithTheNameOfAnotherToken_WritesNoFile() => Assert.IsNull(Read(Learn("a")));

    [TestMethod]
    public void SaveForOthers_SentencePiece_WritesNoFile()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, "\u2581", "a");
        Assert.IsNull(Read(TokenizerFixture.Load(new Dictionary<string, byte[]> { ["spiece.model"] = model })));
    }

    [TestMethod]
    public void SavePretrained_WrittenFile_IsListedAndConfusesNoLoader()
    {
        using var folder = new TemporaryFolder();
        TrainedModel.Transformer.SavePretrained(folder.Path);
        string path = Path.Combine(folder.Path, "tokenizer.json");

        Assert.IsTrue(ModelFolder.Load(folder.Path, source => source.Contains("tokenizer.json")));
        CollectionAssert.Contains(JsonNode.Parse(File.ReadAllText(path))!["model"]!["vocab"]!.AsObject().Select(token => token.Key).ToArray(), "a");
        File.WriteAllText(path, "no JSON");
        using LeapLanguageModel loaded = LeapLanguageModel.Load(folder.Path);
        Assert.AreEqual(TrainedModel.Transformer.Tokenizer.ToString(), loaded.Tokenizer.ToString());
    }

    [TestMethod]
    public void SavePretrained_OverAFileOfAnotherTokenizer_DeletesIt()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllText(path, "of another model");
        ModelFolder.Save(folder.Path, target => Learn("a").SaveForOthers(target.Write));

        Assert.IsFalse(File.Exists(path));
    }

    private static LeapTokenizer Learn(params string[] literals) =>
        TokenizerOptions.ByteLevelBpe(330, literals).Create([Text.AsMemory()], CancellationToken.None);

    private static JsonNode? Read(LeapTokenizer tokenizer)
    {
        JsonNode? file = null;
        tokenizer.SaveForOthers((name, write) =>
        {
            Assert.AreEqual("tokenizer.json", name);
            using var stream = new MemoryStream();
            write(stream);
            file = JsonNode.Parse(stream.ToArray());
        });
        return file;
    }

    // Another program's reading of the file.
    private static BpeTokenizer LoadOracle(JsonNode file)
    {
        string words = file["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"]!.GetValue<string>();
        var vocabulary = file["model"]!["vocab"].Deserialize<Dictionary<string, int>>()!;
        var literals = file["added_tokens"]!.AsArray().ToDictionary(token => token!["content"]!.GetValue<string>(), token => token!["id"]!.GetValue<int>());

        // Regular expressions of .NET know white space by this name alone.
        words = words.Replace(@"\p{White_Space}", @"\s").Replace(@"\P{White_Space}", @"\S");
        return BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = file["model"]!["merges"]!.AsArray().GetValues<string>(),
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(words), literals),
            SpecialTokens = literals,
        });
    }
}
