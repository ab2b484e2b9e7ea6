namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TokenizerOptionsTests
{
    [TestMethod]
    [DataRow(256, null)]
    [DataRow(258, new[] { "<a>", "<b>" })]
    public void ByteLevelBpe_VocabularyTooSmall_Throws(int size, string[]? literals) =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TokenizerOptions.ByteLevelBpe(size, literals));

    [TestMethod]
    public void ByteLevelBpe_SmallestVocabulary_IsBytes()
    {
        LeapTokenizer tokenizer = TokenizerOptions.ByteLevelBpe(257).Create(["aaaa".AsMemory()], CancellationToken.None);
        CollectionAssert.AreEqual((int[])[97, 97, 97], tokenizer.Encode("aaa").ToArray());
    }

    [TestMethod]
    public void ByteLevelBpe_EmptyOrDoubleLiteral_Throws()
    {
        Assert.ThrowsExactly<ArgumentException>(() => TokenizerOptions.ByteLevelBpe(300, [""]));
        Assert.ThrowsExactly<ArgumentException>(() => TokenizerOptions.ByteLevelBpe(300, ["x", "x"]));
    }

    [TestMethod]
    public void Tiktoken_UnknownName_ListsTheKnown() => StringAssert.Contains(
        Assert.ThrowsExactly<ArgumentException>(() => TokenizerOptions.Tiktoken("p50k")).Message, "o200k_base, cl100k_base");

    [TestMethod]
    public void MissingPackage_Encoding_NamesThePackage() => StringAssert.Contains(
        new TiktokenEncoding("o200k_base", "No.Such.Package", "gpt-4o").MissingPackage().Message, "dotnet add package No.Such.Package");

    [TestMethod]
    public void FindData_NoPackage_IsNull() => Assert.IsNull(new TiktokenEncoding("o200k_base", "No.Such.Package", "gpt-4o").FindData());

    [TestMethod]
    public void GivenFiles_Missing_NameThePath()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<FileNotFoundException>(() => TokenizerOptions.SentencePiece("no/such.model")).Message, "no/such.model");
        StringAssert.Contains(
            Assert.ThrowsExactly<FileNotFoundException>(() => TokenizerOptions.Gpt2("no/vocab.json", "merges.txt")).Message, "no/vocab.json");
    }

    [TestMethod]
    [DataRow(-1)]
    [DataRow(100_001)]
    public void SentencePiece_SentinelsOutOfRange_Throws(int count)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "spiece.model");
        File.WriteAllBytes(path, TokenizerFixture.WriteSentencePieceModel(1, 2, "a"));

        Assert.AreEqual("sentinelCount", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TokenizerOptions.SentencePiece(path, sentinelCount: count)).ParamName);
        Assert.IsGreaterThan(100_000, TokenizerOptions.SentencePiece(path, sentinelCount: 100_000).Create([], CancellationToken.None).VocabularySize);
    }

    [TestMethod]
    public void Create_LiteralBeyondVocabulary_Throws()
    {
        byte[] model = TokenizerFixture.WriteSentencePieceModel(1, 2, "a");
        var literals = new Dictionary<string, int> { ["<x>"] = 5 };
        ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => SentencePieceLeapTokenizer.Create(model, literals, false, 0));
        StringAssert.Contains(e.Message, "<x>");
    }
}
