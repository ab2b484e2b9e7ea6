using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingLoopTests
{
    private static readonly LeapConfig Config = new(13, 8, 8, 2, 2, dropout: 0.1);
    private static readonly int[] Ids = [.. Enumerable.Range(0, 60).Select(i => i * i % 13)];

    [TestMethod]
    public void Run_FirstStep_IsAdamWByTheBook()
    {
        // With zero moments the first AdamW step is -lr * g / (|g| + eps) for every clipped gradient g, after the decay by lr * decay.
        var config = new LeapConfig(13, 8, 8, 2, 2, dropout: 0);
        TrainingSettings settings = Settings(epochs: 1, batchSize: 100) with { MaximumGradientNorm = 0.5 };
        using var reference = new LeapModel(config, CPU, 5);
        using var model = new LeapModel(config, CPU, 5);
        var blocks = new TokenBlocks(Ids, 8);
        using (var scope = NewDisposeScope())
        {
            (Tensor inputs, Tensor targets, _) = blocks.Batch([.. Enumerable.Range(0, blocks.Count)], CPU);
            LanguageModelLoss.Mean(reference, inputs, targets).backward();
        }

        List<TrainingProgress> reports = [];
        using (var loop = new TrainingLoop(model, blocks, null, settings with { Report = reports.Add }))
            loop.Run();

        Assert.HasCount(1, reports);
        Assert.AreEqual(settings.LearningRate, reports[0].LearningRate);
        double norm = Math.Sqrt(reference.Weights.Sum(w => w.Weight.grad!.data<float>().ToArray().Sum(g => (double)g * g)));
        Assert.AreEqual(norm, reports[0].GradientNorm, 1e-4 * norm);
        double clip = Math.Min(1, 0.5 / norm);
        foreach (((string name, var before), (_, var after)) in reference.Weights.Zip(model.Weights))
        {
            bool decays = name.Contains("projections") || name.Contains("boom.weight");
            float[] w = before.data<float>().ToArray();
            float[] g = before.grad!.data<float>().ToArray();
            float[] actual = after.data<float>().ToArray();
            for (int i = 0; i < w.Length; i++)
            {
                double expected = w[i] * (1 - (decays ? settings.LearningRate * settings.WeightDecay : 0));
                expected -= settings.LearningRate * g[i] * clip / (Math.Abs(g[i] * clip) + 1e-8);

                // A gradient near eps turns rounding into a part of the step.
                double tolerance = Math.Abs(g[i]) < 1e-6 ? settings.LearningRate : 2e-6;
                Assert.AreEqual(expected, actual[i], tolerance, $"{name}[{i}]");
            }
        }
    }

    [TestMethod]
    public void Run_SameSeed_GivesTheSameWeightsBitForBit()
    {
        float[] first = TrainedWeights(seed: 1);
        CollectionAssert.AreEqual(first, TrainedWeights(seed: 1));
        CollectionAssert.AreNotEqual(first, TrainedWeights(seed: 2));
    }

    [TestMethod]
    public void Run_WithValidation_ReportsItsLossAtEachEpochsEnd()
    {
        using var model = new LeapModel(Config, CPU, 5);
        List<TrainingProgress> reports = [];
        var blocks = new TokenBlocks(Ids, 8);
        using (var loop = new TrainingLoop(model, blocks, new TokenBlocks(Ids[..20], 8), Settings(3, 4) with { Report = reports.Add }))
            loop.Run();

        Assert.HasCount(6, reports);
        CollectionAssert.AreEqual(new[] { 1, 1, 2, 2, 3, 3 }, reports.Select(report => report.Epoch).ToArray());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3, 4, 5, 6 }, reports.Select(report => report.Step).ToArray());
        Assert.IsTrue(reports.All(report => report.StepCount == 6 && report.ValidationLoss.HasValue == (report.Step % 2 == 0)));
        double final = LanguageModelLoss.Evaluate(model, new TokenBlocks(Ids[..20], 8), 1, CancellationToken.None);
        Assert.AreEqual(final, reports[^1].ValidationLoss!.Value, 1e-5);
        Assert.IsFalse(model.training);
    }

    [TestMethod]
    public void Run_Cancelled_ThrowsAndFreesEverything()
    {
        using var model = new LeapModel(Config, CPU, 5);
        using var state = new TorchState();
        using var source = new CancellationTokenSource();
        using var loop = new TrainingLoop(
            model, new TokenBlocks(Ids, 8), null, Settings(5, 2) with { Report = _ => source.Cancel(), CancellationToken = source.Token });

        Assert.ThrowsExactly<OperationCanceledException>(loop.Run);
    }

    [TestMethod]
    public void Run_LossNotANumber_StopsWithAdvice()
    {
        using var model = new LeapModel(Config, CPU, 5);
        using (no_grad())
            model.Weights[0].Weight.fill_(float.NaN);
        using var loop = new TrainingLoop(model, new TokenBlocks(Ids, 8), null, Settings(1, 2));

        var exception = Assert.ThrowsExactly<InvalidOperationException>(loop.Run);

        StringAssert.Contains(exception.Message, "LearningRate");
    }

    private static float[] TrainedWeights(int seed)
    {
        using var model = new LeapModel(Config, CPU, seed);
        using (var loop = new TrainingLoop(model, new TokenBlocks(Ids, 8), null, Settings(2, 3) with { Seed = seed }))
            loop.Run();
        return [.. model.Weights.SelectMany(weight => weight.Weight.data<float>().ToArray())];
    }

    private static TrainingSettings Settings(int epochs, int batchSize) => new()
    {
        Epochs = epochs,
        BatchSize = batchSize,
        LearningRate = 1e-3,
        Beta1 = 0.9,
        Beta2 = 0.999,
        WeightDecay = 0.1,
        MaximumGradientNorm = 1,
        Seed = 1,
    };
}
