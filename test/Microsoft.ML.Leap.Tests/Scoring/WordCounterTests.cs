namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class WordCounterTests
{
    // Expected numbers are those of len(text.split()) and len(re.split(r"\s+", text)) in CPython 3.
    [TestMethod]
    [DataRow(" ", 0, 2)]
    [DataRow("a", 1, 1)]
    [DataRow("a b", 2, 2)]
    [DataRow(" a b ", 2, 4)]
    [DataRow("a\n\n b\n", 2, 3)]
    [DataRow("a\u00a0b", 2, 2)]
    [DataRow("b\u2003c\u3000", 2, 3)]
    [DataRow("\ta", 1, 2)]
    [DataRow("a\u200bb", 1, 1)]
    [DataRow("a\u0085b", 2, 2)]
    [DataRow("naïve ☕ 日本", 3, 3)]
    public void Count_Text_AgreesWithPython(string text, long words, long pieces)
    {
        Assert.AreEqual(words, WordCounter.Count(text, WordCountRule.Words));
        Assert.AreEqual(pieces, WordCounter.Count(text, WordCountRule.PythonSplit));
    }

    [TestMethod]
    public void Count_SeparatorsOfAscii_AreWhiteSpaceToPythonAlone()
    {
        Assert.AreEqual(1, WordCounter.Count("a\u001cb\u001f", WordCountRule.Words));
        Assert.AreEqual(3, WordCounter.Count("a\u001cb\u001f", WordCountRule.PythonSplit));
    }

    [TestMethod]
    public void Count_EmptyText_IsZero()
    {
        Assert.AreEqual(0, WordCounter.Count("", WordCountRule.Words));
        Assert.AreEqual(0, WordCounter.Count("", WordCountRule.PythonSplit));
    }
}
