namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenizedCorpusTests
{
    [TestMethod]
    public void Encode_Documents_PutsOneEndTokenAroundEach()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        int end = tokenizer.EndOfTextId;

        int[] ids = TokenizedCorpus.Encode(new[] { "ab", "", "c" }.Select(text => text.AsMemory()), tokenizer);

        CollectionAssert.AreEqual(new[] { end, 'a', 'b', end, 'c', end }, ids);
    }

    [TestMethod]
    public void Texts_WithMissingRow_GivesEmptyForIt()
    {
        var context = new MLContext();
        string[] texts = [.. TokenizedCorpus.Texts(TinyModel.View(context, "a", null, "b"), "Text", CancellationToken.None).Select(t => t.ToString())];
        CollectionAssert.AreEqual(new[] { "a", "", "b" }, texts);
    }
}
