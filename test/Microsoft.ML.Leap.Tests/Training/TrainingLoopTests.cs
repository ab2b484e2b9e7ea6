using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingLoopTests
{
    private static readonly LeapConfig Config = TrainingSamples.Config;
    private static readonly int[] Ids = TrainingSamples.Ids;

    [TestMethod]
    public void Run_FirstStep_IsAdamWByTheBook()
    {
        // With zero moments the first AdamW step is -lr * g / (|g| + eps) for every clipped gradient g, after the decay by lr * decay.
        var config = new LeapConfig(13, 8, 8, 2, 2, dropout: 0);
        LeapLanguageModelTrainer.Options options = Options(epochs: 1, batchSize: 100).With(o => o.MaximumGradientNorm = 0.5);
        double rate = options.LearningRate!.Value;
        using var reference = new LeapModel(config, CPU, 5);
        using var model = new LeapModel(config, CPU, 5);
        var blocks = new StreamBlocks(Ids, 8);
        using (var scope = NewDisposeScope())
        {
            (Tensor inputs, Tensor targets, _) = blocks.Batch([.. blocks.InBatches(blocks.Count).Single()], CPU);
            LanguageModelLoss.Mean(reference, inputs, targets).backward();
        }

        List<TrainingProgress> reports = [];
        using (var loop = new TrainingLoop(model, blocks, null, options.With(o => o.Progress = reports.Add)))
            loop.Run();

        Assert.HasCount(1, reports);
        Assert.AreEqual(rate, reports[0].LearningRate);
        double norm = Math.Sqrt(reference.Weights.Sum(w => w.Weight.grad!.data<float>().ToArray().Sum(g => (double)g * g)));
        Assert.AreEqual(norm, reports[0].GradientNorm, 1e-4 * norm);
        double clip = Math.Min(1, 0.5 / norm);
        foreach (((string name, var before), (_, var after)) in reference.Weights.Zip(model.Weights))
        {
            double decay = name.Contains("projections") || name.Contains("boom.weight") ? 1 : name.Contains("embedding") ? 1.0 / 3 : 0;
            float[] w = before.data<float>().ToArray();
            float[] g = before.grad!.data<float>().ToArray();
            float[] actual = after.data<float>().ToArray();
            for (int i = 0; i < w.Length; i++)
            {
                double expected = w[i] * (1 - rate * options.WeightDecay!.Value * decay);
                expected -= rate * g[i] * clip / (Math.Abs(g[i] * clip) + 1e-8);

                // A gradient near eps turns rounding into a part of the step.
                double tolerance = Math.Abs(g[i]) < 1e-6 ? rate : 2e-6;
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
        var blocks = new StreamBlocks(Ids, 8);
        using (var loop = new TrainingLoop(model, blocks, new StreamBlocks(Ids[..20], 8), Options(3, 4).With(o => o.Progress = reports.Add)))
            loop.Run();

        Assert.HasCount(6, reports);
        CollectionAssert.AreEqual(new[] { 1, 1, 2, 2, 3, 3 }, reports.Select(report => report.Epoch).ToArray());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3, 4, 5, 6 }, reports.Select(report => report.Step).ToArray());
        Assert.IsTrue(reports.All(report => report.StepCount == 6 && report.ValidationLoss.HasValue == (report.Step % 2 == 0)));
        double final = LanguageModelLoss.Evaluate(model, new StreamBlocks(Ids[..20], 8), 1, () => { });
        Assert.AreEqual(final, reports[^1].ValidationLoss!.Value, 1e-5);
        Assert.IsFalse(model.training);
    }

    [TestMethod]
    public void Run_Cancelled_ThrowsAndFreesEverything()
    {
        using var model = new LeapModel(Config, CPU, 5);
        using var state = new TorchState();
        using var source = new CancellationTokenSource();
        LeapLanguageModelTrainer.Options options = Options(5, 2).With(o =>
        {
            o.Progress = _ => source.Cancel();
            o.CancellationToken = source.Token;
        });
        using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, options);

        Assert.ThrowsExactly<OperationCanceledException>(() => loop.Run());
    }

    [TestMethod]
    public void Run_LossNotANumber_StopsWithAdvice()
    {
        using var model = new LeapModel(Config, CPU, 5);
        using (no_grad())
            model.Weights[0].Weight.fill_(float.NaN);
        using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(1, 2));

        var exception = Assert.ThrowsExactly<InvalidOperationException>(() => loop.Run());

        StringAssert.Contains(exception.Message, "LearningRate");
    }

    [TestMethod]
    public void Run_ManyStepsNotANumber_StopsAtTheLimit()
    {
        using var model = new LeapModel(Config, CPU, 5);
        using (no_grad())
            model.Weights[0].Weight.fill_(float.NaN);
        List<string> warnings = [];
        using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(9, 2).With(o => o.MaximumSkippedSteps = 3))
        {
            Warn = warnings.Add,
        };

        var exception = Assert.ThrowsExactly<InvalidOperationException>(() => loop.Run());

        StringAssert.Contains(exception.Message, "3 steps in a row");
        Assert.HasCount(3, warnings);
    }

    [TestMethod]
    public void Run_OneStepNotANumber_IsSkippedAndCounted()
    {
        using var model = new LeapModel(Config, CPU, 5);
        float[] before = [];
        List<TrainingProgress> reports = [];
        void Report(TrainingProgress progress)
        {
            using var noGradients = no_grad();
            using Tensor bias = model.Weights.Single(entry => entry.Name == "last_norm.bias").Weight.detach();
            reports.Add(progress);
            if (progress.Step == 1)
                bias.fill_(float.PositiveInfinity);
            if (progress.Step == 2)
                bias.fill_(0);
            if (progress.Step == 1)
                before = TrainingSamples.GetWeights(model);
            else if (progress.Step == 2)
                Assert.AreEqual(before.Length - 8, before.Zip(TrainingSamples.GetWeights(model)).Count(pair => pair.First == pair.Second));
        }

        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(1, 2).With(o => o.Progress = Report)))
            loop.Run();

        CollectionAssert.AreEqual(new long[] { 0, 1, 1, 1 }, reports.Select(report => report.SkippedSteps).ToArray());
        Assert.IsTrue(TrainingSamples.GetWeights(model).All(float.IsFinite));
    }

    [TestMethod]
    public void Run_WithAccumulation_EqualsOneLargeBatch()
    {
        // 59 targets in blocks of 8: the last block is short, so a mean of means would differ.
        var config = new LeapConfig(13, 8, 8, 2, 2, dropout: 0);
        float[] Train(int batchSize, int accumulation)
        {
            using var model = new LeapModel(config, CPU, 5);
            using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(3, batchSize).With(o => o.GradientAccumulation = accumulation)))
                loop.Run();
            return TrainingSamples.GetWeights(model);
        }

        float[] whole = Train(8, 1);
        foreach ((float a, float b) in whole.Zip(Train(3, 3)))
            Assert.AreEqual(a, b, 2e-5);
    }

    [TestMethod]
    public void Run_WithMaximumSteps_TakesJustThese()
    {
        using var model = new LeapModel(Config, CPU, 5);
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = Options(1, 4).With(o =>
        {
            o.MaximumSteps = 5;
            o.EvaluationInterval = TrainingInterval.Steps(2);
            o.Progress = reports.Add;
        });
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), new StreamBlocks(Ids[..20], 8), options))
            loop.Run();

        CollectionAssert.AreEqual(new[] { 1, 1, 2, 2, 3 }, reports.Select(report => report.Epoch).ToArray());
        CollectionAssert.AreEqual(new[] { false, true, false, true, true }, reports.Select(report => report.ValidationLoss.HasValue).ToArray());
        Assert.AreEqual(3, reports[0].EpochCount);
    }

    [TestMethod]
    public void Run_TimeBudgetSpent_StopsAndEvaluates()
    {
        using var model = new LeapModel(Config, CPU, 5);
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = Options(1000, 4).With(o =>
        {
            o.TimeBudget = TimeSpan.FromTicks(1);
            o.Progress = reports.Add;
        });
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), new StreamBlocks(Ids[..20], 8), options))
            loop.Run();

        Assert.HasCount(1, reports);
        Assert.IsNotNull(reports[0].ValidationLoss);
    }

    [TestMethod]
    public void Run_TimeBudgetWithoutAStepLimit_TellsWhatIsLeftOfTheTime()
    {
        using var model = new LeapModel(Config, CPU, 5);
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = Options(1, 4).With(o =>
        {
            o.MaximumSteps = int.MaxValue;
            o.TimeBudget = TimeSpan.FromDays(1000);
            o.Progress = reports.Add;
            o.OnCancel = CancellationBehavior.ReturnBest;
        });
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, options) { IsHostCancelled = () => reports.Count == 1 })
            loop.Run();

        Assert.AreEqual(int.MaxValue / 2 + 1, reports[0].EpochCount);
        Assert.IsLessThan(TimeSpan.FromDays(1000), reports[0].Remaining);
        Assert.IsGreaterThan(TimeSpan.FromDays(1), reports[0].Remaining);
    }

    [TestMethod]
    public void Run_KeepingTheBest_ReturnsItsWeights()
    {
        // The learning rate rises to one that is far too high: the loss ends worse than its best.
        using var model = new LeapModel(Config, CPU, 5);
        var validation = new StreamBlocks(Ids[..20], 8);
        List<double> losses = [];
        LeapLanguageModelTrainer.Options options = Options(8, 4).With(o =>
        {
            o.LearningRate = 2;
            o.WarmupRatio = 1;
            o.KeepBestModel = true;
            o.Progress = progress => losses.AddRange(progress.ValidationLoss is double loss ? [loss] : []);
        });
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), validation, options))
            loop.Run();

        Assert.IsGreaterThan(losses.Min(), losses[^1]);
        Assert.AreEqual(losses.Min(), LanguageModelLoss.Evaluate(model, validation, 4, () => { }), 1e-9);
    }

    [TestMethod]
    public void Run_EarlyStopping_EndsTheRun()
    {
        using var model = new LeapModel(Config, CPU, 5);
        int steps = 0;
        LeapLanguageModelTrainer.Options options = Options(50, 100).With(o =>
        {
            o.EarlyStoppingPatience = 3;
            o.EarlyStoppingImprovement = 100;
            o.Progress = _ => steps++;
        });
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), new StreamBlocks(Ids[..20], 8), options))
            loop.Run();

        Assert.AreEqual(4, steps);
    }

    [TestMethod]
    public void Run_CancelledToReturnTheBest_Returns()
    {
        using var model = new LeapModel(Config, CPU, 5);
        int steps = 0;
        LeapLanguageModelTrainer.Options options = Options(5, 2).With(o =>
        {
            o.Progress = _ => steps++;
            o.OnCancel = CancellationBehavior.ReturnBest;
            o.KeepBestModel = true;
        });
        List<string> warnings = [];
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), new StreamBlocks(Ids[..20], 8), options) { IsHostCancelled = () => steps == 3, Warn = warnings.Add })
            loop.Run();

        Assert.AreEqual(3, steps);
        Assert.IsFalse(model.training);
        StringAssert.Contains(warnings.Single(), "after step 3 of");
        StringAssert.Contains(warnings.Single(), "the model of that step is returned", "nothing was evaluated, so none is the best");
        using var thrower = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, options.With(o => o.OnCancel = CancellationBehavior.Throw))
        {
            IsHostCancelled = () => steps == 3,
        };
        Assert.ThrowsExactly<OperationCanceledException>(() => thrower.Run());
    }

    [TestMethod]
    [DataRow(CancellationBehavior.Throw)]
    [DataRow(CancellationBehavior.ReturnBest)]
    public void Run_CancelledBeforeTheFirstStep_ThrowsAlways(CancellationBehavior behavior)
    {
        using var model = new LeapModel(Config, CPU, 5);
        using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(5, 2).With(o => o.OnCancel = behavior)) { IsHostCancelled = () => true };

        Assert.ThrowsExactly<OperationCanceledException>(() => loop.Run());
    }

    [TestMethod]
    [DataRow(CancellationBehavior.Throw)]
    [DataRow(CancellationBehavior.ReturnBest)]
    public void Run_CancelledByTheHostWhileEvaluating_StopsThere(CancellationBehavior behavior)
    {
        using var model = new LeapModel(Config, CPU, 5);
        int questions = 0;
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = Options(1, 4).With(o =>
        {
            o.MaximumSteps = 1;
            o.OnCancel = behavior;
            o.Progress = reports.Add;
        });
        using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), new StreamBlocks(Ids, 2), options)
        {
            IsHostCancelled = () => ++questions is 3 or 4,
        };
        if (behavior == CancellationBehavior.Throw)
            Assert.ThrowsExactly<OperationCanceledException>(() => loop.Run());
        else
            loop.Run();

        Assert.IsEmpty(reports);
        Assert.IsEmpty(loop.Records);
    }

    [TestMethod]
    public void Run_InBFloat16_LearnsAsInSinglePrecision()
    {
        double[] losses = [Train(TrainingPrecision.Float32), Train(TrainingPrecision.BFloat16)];

        Assert.AreNotEqual(losses[0], losses[1]);
        Assert.AreEqual(losses[0], losses[1], 0.02 * losses[0]);

        static double Train(TrainingPrecision precision)
        {
            using var model = new LeapModel(Config, CPU, 5);
            double last = 0;
            LeapLanguageModelTrainer.Options options = Options(10, 4).With(o =>
            {
                o.LearningRate = 1e-2;
                o.Precision = precision;
                o.Progress = progress => last = progress.Loss;
            });
            using var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, options);
            loop.Run();
            Assert.IsTrue(model.Weights.All(entry => entry.Weight.dtype == ScalarType.Float32));
            return last;
        }
    }

    private static float[] TrainedWeights(int seed)
    {
        using var model = new LeapModel(Config, CPU, seed);
        using (var loop = new TrainingLoop(model, new StreamBlocks(Ids, 8), null, Options(2, 3).With(o => o.Seed = seed)))
            loop.Run();
        return [.. model.Weights.SelectMany(weight => weight.Weight.data<float>().ToArray())];
    }

    private static LeapLanguageModelTrainer.Options Options(int epochs, int batchSize) => TrainingSamples.Options(epochs, batchSize);
}
