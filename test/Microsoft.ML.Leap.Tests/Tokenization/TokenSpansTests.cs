namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenSpansTests
{
    public static IEnumerable<object[]> Tokenizers()
    {
        yield return [TokenizerOptions.Bytes(["<unk>"]).Create([], CancellationToken.None)];
        yield return [TokenizerFixture.Learn(300, "the cat sat on the mat", "naïve café ☕☕☕ 日本語")];
        yield return [TokenizerOptions.Tiktoken("cl100k_base").Create([], CancellationToken.None)];
    }

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void Of_TokenizerThatKeepsItsBytes_CoversTheTextInOrder(LeapTokenizer tokenizer)
    {
        foreach (string text in (string[])[.. TokenizerFixture.HardTexts, "the <unk> cat 😀", "a\ud800b"])
        {
            IReadOnlyList<int> ids = tokenizer.Encode(text);
            (int Start, int Length)[] spans = TokenSpans.Find(tokenizer, text, ids);

            Assert.HasCount(ids.Count, spans);
            int end = 0;
            for (int i = 0; i < spans.Length; i++)
            {
                Assert.AreEqual(end, spans[i].Start, text);
                end = spans[i].Start + spans[i].Length;
                string part = text.Substring(spans[i].Start, spans[i].Length);
                string token = tokenizer.GetTokenText(ids[i]);
                if (!token.Contains("<0x", StringComparison.Ordinal) && !part.Contains('\ud800'))
                    Assert.AreEqual(token, part);
            }

            Assert.AreEqual(text.Length, end, text);
        }
    }

    [TestMethod]
    public void Of_CharacterOfSeveralTokens_BelongsToTheFirst()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        CollectionAssert.AreEqual(
            new[] { (0, 1), (1, 2), (3, 0), (3, 0), (3, 0), (3, 1) }, TokenSpans.Find(tokenizer, "a😀b", tokenizer.Encode("a😀b")));
    }

    [TestMethod]
    public void Of_SentencePiece_FindsWhatItKeptAndGivesTheRestToWhatLiesBetween()
    {
        LeapTokenizer tokenizer = SentencePieceLeapTokenizer.Create(
            TokenizerFixture.WriteSentencePieceModel(1, 2, "\u2581", "\u2581ab", "a", "b", "c"), null, false, null);

        // "ab", unknown, "ab", "c"
        const string text = "ab xyz  abc";
        IReadOnlyList<int> ids = tokenizer.Encode(text);
        string[] parts = [.. TokenSpans.Find(tokenizer, text, ids).Select(span => text.Substring(span.Start, span.Length))];

        Assert.AreEqual(text, string.Concat(parts));
        Assert.AreEqual("ab", parts[0]);
        CollectionAssert.AreEqual(new[] { "ab", "c" }, parts[^2..]);
    }
}
