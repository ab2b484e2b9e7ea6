namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class RunFingerprintTests
{
    private const string TrainingData = "training data";

    private static readonly LeapTokenizer Tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    [TestMethod]
    public void Compute_OneIdDiffers_TheDataDiffer()
    {
        int[] ids = [.. TrainingSamples.Ids];
        string before = Describe(new StreamBlocks(ids, 8));

        Assert.AreEqual(before, Describe(new StreamBlocks([.. ids], 8)));
        ids[^1] ^= 1;
        Assert.AreNotEqual(before, Describe(new StreamBlocks(ids, 8)));
    }

    [TestMethod]
    public void Compute_SameTextInOtherDocuments_TheDataDiffer()
    {
        using TokenizedCorpus one = Encode(["ab", "c"]), other = Encode(["a", "bc"]);

        Assert.AreNotEqual(Describe(new DocumentBlocks(one, 16)), Describe(new DocumentBlocks(other, 16)));
    }

    [TestMethod]
    public void Compute_OneLongDocumentAmongShortOnes_PadsNone()
    {
        // Padded to the longest, they had more ids than an array holds.
        const int length = 1 << 20;
        using TokenizedCorpus corpus = Encode([.. Enumerable.Repeat("a", 3000), new string('b', length)]);

        StringAssert.StartsWith(Describe(new DocumentBlocks(corpus, 2 * length)), $"{corpus.Ids.Count - 1} tokens with the sum ");
    }

    private static string Describe(TokenBlocks blocks) =>
        RunFingerprint.Compute(TrainingSamples.Config, blocks, null, TrainingSamples.Options(1, 4))[TrainingData];

    private static TokenizedCorpus Encode(string[] texts) =>
        TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), Tokenizer, long.MaxValue, Path.GetTempPath());
}
