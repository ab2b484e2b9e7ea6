namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class LeapTokenizerTests
{
    [TestMethod]
    [DataRow("", new[] { 256 })]
    [DataRow("a", new[] { 97, 256 })]
    [DataRow("a\n", new[] { 97, 256 })]
    [DataRow("a\r\nb", new[] { 97, 256, 98, 256 })]
    [DataRow("a\n\nb\n", new[] { 97, 256, 256, 98, 256 })]
    [DataRow("\n", new[] { 256 })]
    [DataRow("a\rb\r", new[] { 97, 13, 98, 13, 256 })]
    public void EncodeDocument_EndTokenAfterEachLine_EndsEveryLine(string text, int[] expected) =>
        CollectionAssert.AreEqual(expected, EncodeDocument(TokenizerOptions.Bytes(endTokenAfterEachLine: true), text));

    [TestMethod]
    public void EncodeDocument_Plain_AddsNoEndToken() =>
        CollectionAssert.AreEqual((int[])[97, 10], EncodeDocument(TokenizerOptions.Bytes(), "a\n"));

    [TestMethod]
    public void Decode_EndOfText_IsSkippedUnlessAskedFor()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        Assert.AreEqual("ab", tokenizer.Decode([97, 256, 98]));
        Assert.AreEqual("a<|endoftext|>b", tokenizer.Decode([97, 256, 98], skipEndOfText: false));
    }

    [TestMethod]
    public void GetTokenBytes_SplitCharacter_GivesItsBytes()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        byte[] bytes = [.. tokenizer.Encode("€").SelectMany(id => tokenizer.GetTokenBytes(id).ToArray())];
        CollectionAssert.AreEqual((byte[])[0xE2, 0x82, 0xAC], bytes);
    }

    [TestMethod]
    [DataRow(-1)]
    [DataRow(257)]
    public void GetTokenBytes_IdOutsideVocabulary_Throws(int id) => Assert.ThrowsExactly<ArgumentOutOfRangeException>(
        () => TokenizerOptions.Bytes().Create([], CancellationToken.None).GetTokenBytes(id));

    [TestMethod]
    public void Encode_Null_Throws() => Assert.ThrowsExactly<ArgumentNullException>(
        () => TokenizerOptions.Bytes().Create([], CancellationToken.None).Encode(null!));

    [TestMethod]
    public void Decode_HardTextsAsBytes_GivesThemBack()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes(["<unk>"]).Create([], CancellationToken.None);
        foreach (string text in TokenizerFixture.HardTexts)
            Assert.AreEqual(text, tokenizer.Decode(tokenizer.Encode(text)));
        CollectionAssert.AreEqual((int[])[257], tokenizer.Encode("<unk>").ToArray());
    }

    private static int[] EncodeDocument(TokenizerOptions options, string text)
    {
        var ids = new List<int>();
        options.Create([], CancellationToken.None).EncodeDocument(text, ids);
        return [.. ids];
    }

    // A search through all literals at each of them would compare 2,500,000,000 times: minutes.
    [TestMethod]
    [Timeout(60_000, CooperativeCancellation = true)]
    public void Encode_HundredThousandLiterals_CostsNoMoreThanFew()
    {
        string[] literals = [.. Enumerable.Range(0, 100_000).Select(i => $"<{i}>")];
        LeapTokenizer tokenizer = TokenizerOptions.Bytes(literals).Create([], CancellationToken.None);
        int[] numbers = [.. Enumerable.Range(0, 50_000).Select(i => i * 7 % literals.Length)];

        IReadOnlyList<int> ids = tokenizer.Encode(string.Concat(numbers.Select(number => literals[number])));

        Assert.AreSequenceEqual(numbers.Select(number => 257 + number), ids);
    }
}
