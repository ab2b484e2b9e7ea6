namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TiktokenLeapTokenizerTests
{
    // Published with tiktoken: its README and its tests.
    [TestMethod]
    [DataRow("cl100k_base", "hello world", new[] { 15339, 1917 }, 100257, 100277)]
    [DataRow("cl100k_base", "tiktoken is great!", new[] { 83, 1609, 5963, 374, 2294, 0 }, 100257, 100277)]
    [DataRow("o200k_base", "hello world", new[] { 24912, 2375 }, 199999, 200019)]
    public void Encode_KnownEncoding_MatchesPublishedIds(string name, string text, int[] ids, int endOfText, int size)
    {
        LeapTokenizer tokenizer = TokenizerOptions.Tiktoken(name).Create([], CancellationToken.None);
        CollectionAssert.AreEqual(ids, tokenizer.Encode(text).ToArray());
        Assert.AreEqual((endOfText, size), (tokenizer.EndOfTextId, tokenizer.VocabularySize));
        CollectionAssert.AreEqual((int[])[endOfText], tokenizer.Encode("<|endoftext|>").ToArray());
    }

    [TestMethod]
    public void Load_SavedTokenizer_HoldsItsRanksAndIsLossless()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Tiktoken("cl100k_base", endTokenAfterEachLine: true).Create([], CancellationToken.None);
        Dictionary<string, byte[]> files = TokenizerFixture.Save(tokenizer);
        LeapTokenizer loaded = TokenizerFixture.Load(files);
        Assert.IsTrue(files.ContainsKey("cl100k_base.tiktoken"));
        Assert.IsTrue(loaded.EndTokenAfterEachLine);
        foreach (string text in TokenizerFixture.HardTexts)
        {
            CollectionAssert.AreEqual(tokenizer.Encode(text).ToArray(), loaded.Encode(text).ToArray(), text);
            Assert.AreEqual(text, loaded.Decode(loaded.Encode(text), skipEndOfText: false));
        }
    }

    [TestMethod]
    [DataRow("!!! 0")]
    [DataRow("IQ== 1")]
    [DataRow("IQ==")]
    [DataRow("")]
    public void Load_DamagedRanks_ThrowsFormatException(string content)
    {
        LeapTokenizer tokenizer = TokenizerOptions.Tiktoken("cl100k_base").Create([], CancellationToken.None);
        Dictionary<string, byte[]> files = TokenizerFixture.Save(tokenizer);
        files["cl100k_base.tiktoken"] = System.Text.Encoding.ASCII.GetBytes(content);
        Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files));
    }

    [TestMethod]
    public void Load_ByteWithoutToken_IsRefused()
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerOptions.Tiktoken("cl100k_base").Create([], CancellationToken.None));
        files["cl100k_base.tiktoken"] = System.Text.Encoding.ASCII.GetBytes(string.Concat(
            Enumerable.Range(0, 255).Select(value => $"{Convert.ToBase64String([(byte)value])} {value}\n")));

        var error = Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files));

        StringAssert.Contains(error.Message, "0xFF");
    }

    // The ranks 0 to 100,256 are free of special tokens in cl100k_base; the data package uses all but the last.
    [TestMethod]
    [DataRow(100_257, true)]
    [DataRow(100_258, false)]
    [DataRow(120_000, false)]
    public void Load_MoreRanksThanTheEncodingHasRoomFor_IsRefused(int count, bool fits)
    {
        Dictionary<string, byte[]> files = TokenizerFixture.Save(TokenizerOptions.Tiktoken("cl100k_base").Create([], CancellationToken.None));
        files["cl100k_base.tiktoken"] = System.Text.Encoding.ASCII.GetBytes(string.Concat(
            Enumerable.Range(0, count).Select(rank => $"{Convert.ToBase64String(Token(rank))} {rank}\n")));

        if (fits)
        {
            Assert.AreEqual(100_277, TokenizerFixture.Load(files).VocabularySize);
            return;
        }

        var error = Assert.ThrowsExactly<FormatException>(() => TokenizerFixture.Load(files));
        StringAssert.Contains(error.Message, $"cl100k_base.tiktoken has {count} tokens");
    }

    private static byte[] Token(int rank) => rank < 256 ? [(byte)rank] : System.Text.Encoding.ASCII.GetBytes($"token {rank}");
}
