using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed partial class Gpt2PreTokenizerTests
{
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex PublishedPattern { get; }

    [TestMethod]
    public void GetWordLength_RandomBasicPlaneText_MatchesPublishedPattern()
    {
        const string Alphabet = "  '''stredmvlaZ019.,!-\t\n\r\u00a0\u2003é½日\u0301…";
        var random = new Random(1);
        for (int round = 0; round < 3000; round++)
        {
            string text = string.Concat(Enumerable.Range(0, 1 + random.Next(20)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            CollectionAssert.AreEqual(PublishedPattern.Matches(text).Select(m => m.Value).ToArray(), Split(text), text);
        }
    }

    [TestMethod]
    [DataRow("𝒜b𠀀c d", new[] { "𝒜b𠀀c", " d" })]
    [DataRow("a😀!b", new[] { "a", "😀!", "b" })]
    [DataRow("\ud800x", new[] { "\ud800", "x" })]
    public void GetWordLength_BeyondBasicPlane_CountsScalarValues(string text, string[] words) =>
        CollectionAssert.AreEqual(words, Split(text));

    private static string[] Split(string text)
    {
        var words = new List<string>();
        while (text.Length > 0)
        {
            int length = Gpt2PreTokenizer.GetWordLength(text);
            words.Add(text[..length]);
            text = text[length..];
        }

        return [.. words];
    }
}
