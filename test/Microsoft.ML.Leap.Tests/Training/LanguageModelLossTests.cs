using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LanguageModelLossTests
{
    private static readonly int[] Ids = [.. Enumerable.Range(0, 53).Select(i => i * 7 % 11)];

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(100)]
    public void Evaluate_AnyBatchSize_IsTheMeanOverAllTokens(int batchSize)
    {
        using var model = new LeapModel(new LeapConfig(11, 8, 8, 2, 2), CPU, 3);
        using var state = new TorchState();

        double loss = LanguageModelLoss.Evaluate(model, new StreamBlocks(Ids, 8), batchSize, () => { });

        Assert.AreEqual(NaiveLoss(model, 8), loss, 1e-5);
    }

    [TestMethod]
    public void Evaluate_OfTrainingModel_LeavesItTraining()
    {
        using var model = new LeapModel(new LeapConfig(11, 8, 8, 1, 2), CPU, 3);
        model.train();
        LanguageModelLoss.Evaluate(model, new StreamBlocks(Ids, 8), 2, () => { });
        Assert.IsTrue(model.training);
    }

    [TestMethod]
    public void Evaluate_OfModelThatTrainsInBFloat16_IsInSinglePrecision()
    {
        using var model = new LeapModel(new LeapConfig(11, 8, 8, 2, 2), CPU, 3);
        var blocks = new StreamBlocks(Ids, 8);
        double expected = LanguageModelLoss.Evaluate(model, blocks, 2, () => { });

        model.train();
        model.TrainsInBFloat16 = true;
        Assert.AreEqual(expected, LanguageModelLoss.Evaluate(model, blocks, 2, () => { }));
    }

    [TestMethod]
    public void Evaluate_Stopped_LeavesTheModelTraining()
    {
        using var model = new LeapModel(new LeapConfig(11, 8, 8, 1, 2), CPU, 3);
        model.train();
        Assert.ThrowsExactly<OperationCanceledException>(
            () => LanguageModelLoss.Evaluate(model, new StreamBlocks(Ids, 8), 2, () => throw new OperationCanceledException()));
        Assert.IsTrue(model.training);
    }

    [TestMethod]
    public void Evaluate_LongAndShortDocumentsPadded_IsThatOfPackedOnes()
    {
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        string[] texts = [.. Enumerable.Repeat("a bc", 40), new string('x', 600)];
        using TokenizedCorpus corpus = TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), tokenizer, long.MaxValue, Path.GetTempPath());
        var blocks = new DocumentBlocks(corpus, 1000);
        using var packing = new LeapModel(new LeapConfig(tokenizer.VocabularySize, 8, 1000, 2, 2, usePositionEmbeddings: false), CPU, 3);
        using var padding = new PaddingNetwork(packing);
        packing.eval();

        double loss = LanguageModelLoss.Evaluate(padding, blocks, 1000, () => { });

        Assert.AreEqual(LanguageModelLoss.Evaluate(packing, blocks, 1000, () => { }), loss, 1e-5);
        CollectionAssert.AreEqual(new long[] { 601, 40 * 5 }, padding.Sizes, "the long one pads none of the short ones");
    }

    // One block at a time, the softmax in double by the definition.
    private static double NaiveLoss(LeapModel model, int length)
    {
        model.eval();
        double sum = 0;
        for (int start = 0; start + 1 < Ids.Length; start += length)
        {
            using var scope = NewDisposeScope();
            long[] inputs = [.. Ids.Skip(start).Take(Math.Min(length, Ids.Length - 1 - start)).Select(id => (long)id)];
            using var noGradients = no_grad();
            float[] logits = model.forward(tensor(inputs, [1, inputs.Length])).data<float>().ToArray();
            for (int i = 0; i < inputs.Length; i++)
            {
                double[] row = [.. logits.Skip(i * 11).Take(11).Select(value => (double)value)];
                sum += Math.Log(row.Sum(Math.Exp)) - row[Ids[start + i + 1]];
            }
        }

        return sum / (Ids.Length - 1);
    }

    /// <summary>A network that packs nothing, and counts the ids that it is given.</summary>
    private sealed class PaddingNetwork(LeapModel inner) : LanguageModelNetwork("padding")
    {
        public List<long> Sizes { get; } = [];

        public override LeapConfig Config => inner.Config;

        public override IReadOnlyList<(string Name, Parameter Weight)> Weights => inner.Weights;

        public override Parameter HeadWeight => inner.HeadWeight;

        public override Parameter HeadBias => inner.HeadBias;

        public override Tensor Hidden(Tensor inputIds)
        {
            Sizes.Add(inputIds.numel());
            return inner.Hidden(inputIds);
        }

        public override Tensor Logits(Tensor hidden) => inner.Logits(hidden);

        public override void SeedDropout(long seed) => inner.SeedDropout(seed);

        protected override LanguageModelNetwork CreateLike() => throw new NotSupportedException();
    }
}
