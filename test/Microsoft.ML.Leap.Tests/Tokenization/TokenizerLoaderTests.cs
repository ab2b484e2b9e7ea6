using System.Text;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TokenizerLoaderTests
{
    private const string Text = "the cat sat on the mat, the rat ate the cat";

    public static IEnumerable<object[]> Options =>
    [
        [TokenizerOptions.Bytes(["<unk>", "<|endoftext|>"], endTokenAfterEachLine: true)],
        [TokenizerOptions.ByteLevelBpe(300, ["<unk>", "日本", "<|endoftext|>"])],
        [TokenizerOptions.Existing(SentencePieceLeapTokenizer.Create(
            TokenizerFixture.WriteSentencePieceModel(-1, 1, "\u2581", "\u2581the", "a", "t"),
            new Dictionary<string, int> { ["<unk>"] = 0 }, true, 3))],
    ];

    [TestMethod]
    [DynamicData(nameof(Options))]
    public void Load_Saved_RestoresTheSameTokenizer(TokenizerOptions options)
    {
        LeapTokenizer tokenizer = options.Create([Text.AsMemory()], CancellationToken.None);
        Dictionary<string, byte[]> files = TokenizerFixture.Save(tokenizer);
        LeapTokenizer loaded = TokenizerFixture.Load(files);

        Assert.AreEqual(
            (tokenizer.Kind, tokenizer.VocabularySize, tokenizer.EndOfTextId, tokenizer.EndTokenAfterEachLine),
            (loaded.Kind, loaded.VocabularySize, loaded.EndOfTextId, loaded.EndTokenAfterEachLine));
        CollectionAssert.AreEquivalent(tokenizer.SpecialLiterals.ToArray(), loaded.SpecialLiterals.ToArray());
        foreach (string text in TokenizerFixture.HardTexts.Append(Text).Append("x<unk>日本<extra_id_1>"))
            CollectionAssert.AreEqual(tokenizer.Encode(text).ToArray(), loaded.Encode(text).ToArray(), text);
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            Assert.AreEqual(tokenizer.GetTokenText(id), loaded.GetTokenText(id));

        Dictionary<string, byte[]> again = TokenizerFixture.Save(loaded);
        foreach ((string name, byte[] content) in files)
            CollectionAssert.AreEqual(content, again[name], name);
    }

    [TestMethod]
    [DynamicData(nameof(Options))]
    public void Load_FileMissing_NamesIt(TokenizerOptions options)
    {
        LeapTokenizer tokenizer = options.Create([Text.AsMemory()], CancellationToken.None);
        foreach (string name in TokenizerFixture.Save(tokenizer).Keys.Where(n => n != TokenizerSettings.FileName))
        {
            Dictionary<string, byte[]> files = TokenizerFixture.Save(tokenizer);
            files.Remove(name);
            StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files)).Message, name);
        }
    }

    [TestMethod]
    [DataRow("tokenizer_config.json")]
    [DataRow("vocab.json")]
    public void Load_JsonCutOff_ThrowsFormatException(string name)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        byte[] whole = files[name];
        for (int length = 0; length < whole.Length; length += 1 + length / 10)
        {
            files[name] = whole[..length];
            Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files), $"{length} bytes");
        }
    }

    [TestMethod]
    [DataRow("a")]
    [DataRow("a b c")]
    [DataRow("zz qq")]
    public void Load_DamagedMerges_NamesTheLine(string line)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        files["merges.txt"] = Encoding.UTF8.GetBytes($"#version: 0.2\n{line}\n");
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files)).Message, "Line 2");
    }

    [TestMethod]
    [DataRow("""{"a": 0, "b": 2}""")]
    [DataRow("""{"a": 0, "b": 0}""")]
    [DataRow("""{"a": -1}""")]
    [DataRow("""{"a": 0, "b": 1}""")]
    [DataRow("""{"日": 0}""")]
    [DataRow("""["a"]""")]
    [DataRow("null")]
    [DataRow("""{"a": 0} 1""")]
    public void Load_DamagedVocabulary_ThrowsFormatException(string json)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        files["vocab.json"] = Encoding.UTF8.GetBytes(json);
        files["merges.txt"] = [];
        Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files));
    }

    [TestMethod]
    [DataRow("1.5")]
    [DataRow("3000000000")]
    [DataRow("\"0\"")]
    [DataRow("null")]
    [DataRow("""{"b": [1, 2]}""")]
    public void Load_IdThatIsNoWholeNumber_NamesTheTokenAndTheValue(string id)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        files["vocab.json"] = Encoding.UTF8.GetBytes($"{{\"a\": 0, \"the\": {id}}}");
        string message = Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files)).Message;
        StringAssert.Contains(message, $"token 'the' must have a whole number as its id, but has {id}.");
    }

    [TestMethod]
    [DataRow("kind", "\"other\"")]
    [DataRow("kind", "1")]
    [DataRow("end_of_text_id", "300000")]
    [DataRow("end_of_text_id", "-1")]
    [DataRow("end_of_text_id", "\"x\"")]
    [DataRow("special_literals", "{\"x\": 2000000000}")]
    [DataRow("special_literals", "{\"x\": -1}")]
    [DataRow("special_literals", "{\"\": 1}")]
    [DataRow("special_literals", "[1]")]
    [DataRow("special_literals", "null")]
    public void Load_DamagedSettings_ThrowsFormatException(string key, string json)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        JsonNode root = JsonNode.Parse(files[TokenizerSettings.FileName])!;
        root["leap"]![key] = JsonNode.Parse(json);
        files[TokenizerSettings.FileName] = Encoding.UTF8.GetBytes(root.ToJsonString());
        Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files));
    }

    [TestMethod]
    public void Load_FileWithoutEnd_IsRefusedAtTheLimit()
    {
        using var endless = new EndlessStream();
        Assert.ThrowsExactly<FormatException>(() => LeapTokenizer.Load(name => name == "vocab.json" ? endless : null));
        Assert.IsLessThan(TokenizerFiles.MaximumLength + (1 << 20), endless.Given);
    }

    [TestMethod]
    public void Load_ForeignConfigAndGpt2Names_GivesGpt2Defaults()
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerFixture.Learn(300, Text));
        LeapTokenizer tokenizer = TokenizerFixture.Load(new Dictionary<string, byte[]>
        {
            ["encoder.json"] = files["vocab.json"],
            ["vocab.bpe"] = files["merges.txt"],
            [TokenizerSettings.FileName] = "{\"model_max_length\": 1024}"u8.ToArray(),
        });
        CollectionAssert.AreEqual((int[])[tokenizer.EndOfTextId], tokenizer.Encode("<|endoftext|>").ToArray());
    }

    [TestMethod]
    public void Load_NothingThere_SaysWhatWasExpected() => StringAssert.Contains(
        Assert.ThrowsExactly<FormatException>(() => LeapTokenizer.Load(_ => null)).Message, "spiece.model");

    [TestMethod]
    public void FromFolder_NoFolder_Throws() =>
        Assert.ThrowsExactly<DirectoryNotFoundException>(() => LeapTokenizer.FromFolder("no-such-folder-here"));

    private sealed class EndlessStream : MemoryStream
    {
        public long Given { get; private set; }

        public override bool CanSeek => false;

        public override int Read(Span<byte> buffer)
        {
            Given += buffer.Length;
            return buffer.Length;
        }
    }
}
