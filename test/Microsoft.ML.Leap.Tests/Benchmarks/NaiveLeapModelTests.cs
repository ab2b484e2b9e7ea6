using Microsoft.ML.Leap.Benchmarks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class NaiveLeapModelTests
{
    // Windows of one, of each way that the library sums them, and a global one.
    private static readonly LeapConfig Config = new(17, 12, contextLength: 150, layerCount: 5, headCount: 3, windowSizes: [1, 3, 64, 70, 150], rescaleValue: 2);

    [TestMethod]
    public void Forward_FocusNotPeaked_GivesTheLogitsOfLeapModel()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        using var model = new LeapModel(Config, CPU, 1);
        using var naive = new NaiveLeapModel(Config);
        model.eval();
        naive.eval();
        CopyWeights(model, naive);
        Tensor ids = tensor([.. Enumerable.Range(0, 2 * 150).Select(i => (long)(i * i % 17))], [2, 150]);

        Tensor difference = (model.call(ids) - naive.call(ids)).abs();

        Assert.IsTrue(difference.max().item<float>() < 1e-3, $"{difference.max().item<float>()}");
        Assert.IsTrue(model.call(ids).std().item<float>() > 0.05, "logits that say nothing");
    }

    [TestMethod]
    public void Run_OnOneBatch_ChangesEveryWeightAndLearnsIt()
    {
        using var model = new NaiveLeapModel(Config);
        model.train();
        int[] ids = [.. Enumerable.Range(0, 301).Select(i => i % 5)];
        var blocks = new StreamBlocks(ids, 150);
        using var step = new NaiveLeapStep(model, blocks, TrainingSamples.Options(1, 2).With(o => o.LearningRate = 0.01));
        Dictionary<string, float[]> before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.data<float>().ToArray());

        double first = step.Run([blocks[0], blocks[1]]);
        foreach (var (name, parameter) in model.named_parameters())
            CollectionAssert.AreNotEqual(before[name], parameter.data<float>().ToArray(), name);
        double last = first;
        for (int i = 0; i < 30; i++)
            last = step.Run([blocks[0], blocks[1]]);

        Assert.AreEqual(Math.Log(17), first, 0.3);
        Assert.IsTrue(last < first / 2, $"{first} and then {last}");
    }

    // Initial weights are too low for logits that say anything: drawn anew, larger.
    private static void CopyWeights(LeapModel model, NaiveLeapModel naive)
    {
        Dictionary<string, Parameter> targets = naive.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach ((string name, Parameter weight) in model.Weights)
        {
            if (weight.dim() == 2)
                nn.init.normal_(weight, 0, 0.2);
            targets[name.Replace("leap_model.", "", StringComparison.Ordinal).Replace("proj_logits.bias", "proj_bias", StringComparison.Ordinal)]
                .copy_(weight);
        }

        Assert.HasCount(model.Weights.Count, targets);
    }
}
