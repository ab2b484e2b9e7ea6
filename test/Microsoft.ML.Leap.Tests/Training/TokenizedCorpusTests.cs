namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenizedCorpusTests
{
    [TestMethod]
    public void Encode_Documents_PutsOneEndTokenAroundEach()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        int end = tokenizer.EndOfTextId;

        using TokenizedCorpus corpus = TokenizedCorpus.Encode(
            new[] { "ab", "", "c" }.Select(text => text.AsMemory()), tokenizer, long.MaxValue, Path.GetTempPath());

        int[] ids = new int[corpus.Ids.Count];
        corpus.Ids.Read(0, ids);
        CollectionAssert.AreEqual(new[] { end, 'a', 'b', end, 'c', end }, ids);
    }

    [TestMethod]
    public void Encode_FailsHalfway_DeletesTheFile()
    {
        using var folder = new TemporaryFolder();
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        IEnumerable<ReadOnlyMemory<char>> Texts()
        {
            yield return "ab".AsMemory();
            Assert.AreEqual(1, folder.OpenFileCount);
            throw new NotSupportedException();
        }

        Assert.ThrowsExactly<NotSupportedException>(() => TokenizedCorpus.Encode(Texts(), tokenizer, 0, folder.Path));

        Assert.AreEqual(0, folder.OpenFileCount);
        Assert.HasCount(0, folder.Files);
    }

    [TestMethod]
    public void Texts_WithMissingRow_GivesEmptyForIt()
    {
        var context = new MLContext();
        string[] texts = [.. TokenizedCorpus.Texts(TinyModel.View(context, "a", null, "b"), "Text", CancellationToken.None).Select(t => t.ToString())];
        CollectionAssert.AreEqual(new[] { "a", "", "b" }, texts);
    }
}
