using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapModelTests
{
    private static readonly string[] BlockNames =
        ["pre_norm.weight", "pre_norm.bias", "boom_norm.weight", "boom_norm.bias", "projections.weight", "boom.weight", "unboom.weight"];

    private static LeapConfig Small(double dropout = 0) =>
        new(vocabularySize: 19, hiddenSize: 12, contextLength: 40, layerCount: 3, headCount: 3, windowSizes: [3, 8, 40], dropout: dropout);

    private static Tensor Ids(int batch, int length, int seed = 1)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, batch * length).Select(_ => random.NextInt64(19))], [batch, length]);
    }

    [TestMethod]
    public void ForwardBackward_InAScope_LeavesNoTensorAndNoGlobalStateChanged()
    {
        // TorchSharp goes on counting the emptied tensor that a Parameter was made of, for ever: one a weight.
        long tensors = Tensor.TotalCount;
        int weights;
        byte[] generatorBefore = GlobalGenerator();
        using (var model = new LeapModel(Small(dropout: 0.2), CPU, 1))
        {
            weights = model.Weights.Count;
            for (int step = 0; step < 2; step++)
            {
                using DisposeScope scope = NewDisposeScope();
                model.train();
                Tensor logits = model.call(Ids(2, 20), ones([2, 20], ScalarType.Bool));
                logits.sum().backward();
                model.zero_grad();
            }
        }

        Assert.AreEqual(tensors + weights, Tensor.TotalCount);
        CollectionAssert.AreEqual(generatorBefore, GlobalGenerator());
        Assert.IsTrue(is_grad_enabled());
    }

    private static byte[] GlobalGenerator()
    {
        using Tensor state = get_rng_state();
        return state.data<byte>().ToArray();
    }

    [TestMethod]
    public void Weights_OfAnyModel_AreEachTensorOnceUnderItsCheckpointName()
    {
        LeapConfig config = Small();
        using var model = new LeapModel(config, CPU, 1);

        string[] expected =
        [
            "word_embedding.weight", "proj_logits.bias", "leap_model.position_embeddings.weight",
            .. Enumerable.Range(0, 3).SelectMany(l => BlockNames.Select(name => $"leap_model.decoders.{l}.{name}")),
            "last_norm.weight", "last_norm.bias",
        ];
        CollectionAssert.AreEqual(expected, model.Weights.Select(w => w.Name).ToArray());
        Assert.AreEqual(config.ParameterCount, model.Weights.Sum(w => w.Weight.numel()));
        Assert.AreEqual(model.Weights.Count, model.parameters().Count());
    }
}
