using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PackedDocumentsTests
{
    private static readonly int[] Lengths = [5, 1, 16, 3, 9, 2];

    [TestMethod]
    public void Documents_OfLengths_AreThose()
    {
        PackedDocuments packed = PackedDocuments.Create(Lengths);
        CollectionAssert.AreEqual(Lengths, packed.Documents.Select(document => document.Length).ToArray());
        CollectionAssert.AreEqual(new[] { 0, 5, 6, 22, 25, 34 }, packed.Documents.Select(document => document.Start).ToArray());
        Assert.AreEqual(16, packed.Longest);
    }

    [TestMethod]
    [DataRow(8, 2, new[] { 2, 16 })]
    [DataRow(24, 3, new[] { 3, 4, 100 })]
    [DataRow(64, 2, new[] { 1, 5 })]
    [DataRow(24, 3, new int[0])]
    public void HiddenOfPacked_Documents_EqualsEachByItself(int hiddenSize, int heads, int[] windows)
    {
        using LeapModel model = Model(hiddenSize, heads, windows, 0);
        model.eval();
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        long[] ids = Ids();

        Tensor packed = model.HiddenOfPacked(tensor(ids, [1, ids.Length]), PackedDocuments.Create(Lengths));

        foreach ((int start, int length) in PackedDocuments.Create(Lengths).Documents)
        {
            Tensor alone = model.Hidden(tensor(ids[start..(start + length)], [1, length]));
            Assert.IsLessThan(1e-5, (packed.narrow(1, start, length) - alone).abs().max().item<float>());
        }
    }

    [TestMethod]
    [DataRow(8, 2, new[] { 2, 16 })]
    [DataRow(24, 3, new[] { 3, 4, 100 })]
    [DataRow(64, 2, new[] { 1, 5 })]
    [DataRow(24, 3, new int[0])]
    public void Backward_OfPackedDocuments_GivesTheSumOfTheirGradients(int hiddenSize, int heads, int[] windows)
    {
        using LeapModel model = Model(hiddenSize, heads, windows, 0);
        model.train();
        long[] ids = Ids();
        long[] targets = [.. ids.Select(id => (id * 7 + 3) % 11)];
        float[][] packed = Gradients(model, () => LanguageModelLoss.Mean(
            model, tensor(ids, [1, ids.Length]), tensor(targets, [1, ids.Length]), ids.Length, PackedDocuments.Create(Lengths)).backward());

        float[][] alone = Gradients(model, () =>
        {
            foreach ((int start, int length) in PackedDocuments.Create(Lengths).Documents)
            {
                LanguageModelLoss.Mean(
                    model, tensor(ids[start..(start + length)], [1, length]), tensor(targets[start..(start + length)], [1, length]), ids.Length).backward();
            }
        });

        for (int i = 0; i < packed.Length; i++)
        {
            double largest = alone[i].Max(Math.Abs);
            for (int k = 0; k < packed[i].Length; k++)
                Assert.AreEqual(alone[i][k], packed[i][k], 1e-5 + 1e-4 * largest, model.Weights[i].Name);
        }
    }

    [TestMethod]
    public void CanPack_WithPositions_IsFalse()
    {
        using var model = new LeapModel(new LeapConfig(11, 8, 16, 2, 2), CPU, 1);
        Assert.IsFalse(model.CanPack);
    }

    [TestMethod]
    public void Evaluate_OfDocuments_IsTheSamePackedAndPadded()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        using TokenizedCorpus corpus = TokenizedCorpus.Encode(
            Lengths.Select(length => new string('x', length).AsMemory()), tokenizer, long.MaxValue, Path.GetTempPath());
        using var model = new LeapModel(new LeapConfig(257, 8, 16, 2, 2, usePositionEmbeddings: false), CPU, 1);
        var blocks = new DocumentBlocks(corpus, 16);
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        double loss = LanguageModelLoss.Evaluate(model, blocks, 2, () => { });

        (Tensor inputs, Tensor targets, int count) = blocks.Batch([.. blocks.InBatches(1000).Single()], CPU);
        Assert.AreEqual(blocks.TargetCount, count);
        model.eval();
        Assert.AreEqual(LanguageModelLoss.Mean(model, inputs, targets).item<float>(), loss, 1e-5);
    }

    private static float[][] Gradients(LeapModel model, Action backward)
    {
        using var scope = NewDisposeScope();
        model.zero_grad(set_to_none: true);
        backward();
        return [.. model.Weights.Select(entry => entry.Weight.grad!.data<float>().ToArray())];
    }

    // No windows: forget gates.
    private static LeapModel Model(int hiddenSize, int heads, int[] windows, double dropout) => new(
        new LeapConfig(11, hiddenSize, 16, Math.Max(2, windows.Length), heads, windowSizes: windows.Length == 0 ? null : windows, dropout: dropout,
            initializerRange: 0.3, usePositionEmbeddings: false, convolutionSize: 4, useForgetGates: windows.Length == 0, focusSize: hiddenSize / heads > 2 ? hiddenSize / heads - 1 : null),
        CPU, 1);

    private static long[] Ids() => [.. Enumerable.Range(0, Lengths.Sum()).Select(i => i * (long)i % 11)];
}
