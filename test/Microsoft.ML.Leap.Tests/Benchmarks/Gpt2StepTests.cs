using Microsoft.ML.Leap.Benchmarks;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class Gpt2StepTests
{
    private const int Vocabulary = 50;

    [TestMethod]
    [DataRow(12, 3, 40)]
    [DataRow(64, 2, 40)]
    [DataRow(128, 4, 40)]
    [DataRow(70, 2, 40)]
    [DataRow(256, 2, 1100)]
    public void Run_TokenByToken_GivesTheLogitsOfTheFullPass(int hiddenSize, int headCount, int length)
    {
        using DisposeScope scope = NewDisposeScope();
        using Gpt2Model model = Strong(new LeapConfig(Vocabulary, hiddenSize, length, layerCount: 2, headCount: headCount, dropout: 0));
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, length).Select(_ => random.Next(Vocabulary))];
        using var noGradients = no_grad();
        float[] expected = model.call(tensor([.. ids.Select(id => (long)id)], [1, length])).data<float>().ToArray();
        using var weights = new Gpt2Weights(model);
        using var step = new Gpt2Step(weights, length);
        using var cache = new KeyValueCache(model.Config, length);
        float[] hidden = new float[hiddenSize];
        float[] logits = new float[Vocabulary];
        for (int i = 0; i < length; i++)
        {
            step.Run(ids[i], cache, hidden);
            step.Logits(hidden, logits);
            for (int k = 0; k < Vocabulary; k++)
                Assert.AreEqual(expected[i * Vocabulary + k], logits[k], 1e-3, $"token {i}, logit {k}");
        }

        Assert.ThrowsExactly<InvalidOperationException>(() => step.Run(0, cache, hidden));
    }

    // Initial weights are too small to tell right attention from wrong.
    private static Gpt2Model Strong(LeapConfig config)
    {
        var model = new Gpt2Model(config, CPU, 3);
        model.eval();
        using var noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        foreach ((_, var weight) in model.Weights)
            weight.add_(empty(weight.shape).normal_(0, 1.5 / Math.Sqrt(config.HiddenSize), generator));
        return model;
    }
}
