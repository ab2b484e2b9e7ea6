using System.Security.Cryptography;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingCheckpointsTests
{
    private static readonly TokenBlocks Training = new StreamBlocks(TrainingSamples.Ids, 8);
    private static readonly TokenBlocks Validation = new StreamBlocks(TrainingSamples.Ids[..20], 8);
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"leap-{Guid.NewGuid():N}");

    [TestCleanup]
    public void DeleteFolder()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [TestMethod]
    [DataRow(3, false, TrainingOptimizer.AdamW)]
    [DataRow(7, false, TrainingOptimizer.AdamW)]
    [DataRow(7, true, TrainingOptimizer.AdamW)]
    [DataRow(7, false, TrainingOptimizer.Muon)]
    public void Run_InterruptedAndResumed_EqualsTheWholeRunBitForBit(int interruption, bool keepBest, TrainingOptimizer optimizer)
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(3, 1).With(o =>
        {
            o.Optimizer = optimizer;
            o.GradientAccumulation = 2;
            o.LearningRate = keepBest ? 0.3 : 1e-3;
            o.KeepBestModel = keepBest;
            o.EvaluationInterval = TrainingInterval.Steps(2);
        });
        (float[] whole, IReadOnlyList<TrainingRecord> records) = Run("whole", options, resume: false);

        Assert.ThrowsExactly<OperationCanceledException>(() => Run("parts", options, resume: false, stopAt: interruption));
        (float[] resumed, IReadOnlyList<TrainingRecord> resumedRecords) = Run("parts", options, resume: true);

        CollectionAssert.AreEqual(whole, resumed);
        Assert.AreEqual(12, records[^1].Step);
        CollectionAssert.AreEqual(records.Select(Timeless).ToArray(), resumedRecords.Select(Timeless).ToArray());
        string last = Path.Combine(_folder, "whole", "step-0000000012");
        foreach (string name in new[] { "model.safetensors", "optimizer.safetensors" })
            CollectionAssert.AreEqual(Sum(Path.Combine(last, name)), Sum(Path.Combine(last.Replace("whole", "parts"), name)), name);
    }

    [TestMethod]
    public void Run_PausedAndResumed_EqualsTheWholeRunBitForBit()
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(3, 2);
        (float[] whole, IReadOnlyList<TrainingRecord> records) = Run("whole", options, resume: false);

        (_, IReadOnlyList<TrainingRecord> paused) = Run("parts", options, resume: false, pauseAt: 5);
        (float[] resumed, IReadOnlyList<TrainingRecord> resumedRecords) = Run("parts", options, resume: true);

        // A pause is an end, which is evaluated.
        Assert.AreEqual(5, paused[^1].Step);
        CollectionAssert.AreEqual(whole, resumed);
        Assert.AreEqual(records[^1].ValidationLoss, resumedRecords[^1].ValidationLoss);
    }

    [TestMethod]
    public void Run_OfAFinishedRun_GivesItsModel()
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(2, 4);
        (float[] first, IReadOnlyList<TrainingRecord> records) = Run("run", options, resume: false);
        (float[] again, IReadOnlyList<TrainingRecord> recordsAgain) = Run("run", options, resume: true);
        CollectionAssert.AreEqual(first, again);
        CollectionAssert.AreEqual(records.ToArray(), recordsAgain.ToArray());
    }

    [TestMethod]
    public void Run_ManyCheckpoints_KeepsTheLatestAndTheBest()
    {
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = MakeOptionsWithAnEarlyBest(reports);
        Directory.CreateDirectory(Path.Combine(_folder, "run", "step-0000000002.tmp"));
        Run("run", options, resume: false);

        long best = reports.MinBy(report => report.ValidationLoss)!.Step;
        using var folder = new CheckpointFolder(Path.Combine(_folder, "run"));
        IReadOnlyList<long> steps = folder.Steps;
        CollectionAssert.Contains(steps.ToArray(), best);
        CollectionAssert.Contains(steps.ToArray(), 16L);
        Assert.IsLessThanOrEqualTo(3, steps.Count);
        Assert.HasCount(steps.Count, Directory.GetDirectories(Path.Combine(_folder, "run")));
    }

    [TestMethod]
    public void Run_ResumingAnotherRun_IsRefusedInWords()
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 4);
        Run("run", options, resume: false);

        string message = Refusal(options.With(o => o.LearningRate = 0.25), Training, TrainingSamples.Config);
        StringAssert.Contains(message, "LearningRate is 0.001");
        StringAssert.Contains(message, "0.25");
        StringAssert.Contains(Refusal(options.With(o => o.EarlyStoppingPatience = 3), Training, TrainingSamples.Config), "EarlyStoppingPatience is not set");
        StringAssert.Contains(Refusal(options.With(o => o.Schedule = LearningRateSchedule.Cosine()), Training, TrainingSamples.Config), "Schedule");
        StringAssert.Contains(Refusal(options, new StreamBlocks(TrainingSamples.Ids[1..], 8), TrainingSamples.Config), "training data");
        StringAssert.Contains(Refusal(options, Training, new LeapConfig(13, 8, 8, 1, 2)), "network");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Run("run", options, resume: false)).Message, "Set Resume");
    }

    [TestMethod]
    public void Run_ResumingATruncatedCheckpoint_IsAFormatException()
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 4);
        Run("run", options, resume: false);
        string file = Path.Combine(_folder, "run", "step-0000000002", "optimizer.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^9]);

        Assert.ThrowsExactly<FormatException>(() => Run("run", options, resume: true));
    }

    [TestMethod]
    public void Run_ResumingWithoutTheBestModelsFolder_IsRefusedInWords()
    {
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = MakeOptionsWithAnEarlyBest(reports);
        Run("run", options, resume: false);
        long best = reports.MinBy(report => report.ValidationLoss)!.Step;
        Assert.AreNotEqual(reports[^1].Step, best);
        string folder = Path.Combine(_folder, "run", $"step-{best:0000000000}");
        Directory.Delete(folder, recursive: true);

        FormatException e = Assert.ThrowsExactly<FormatException>(() => Run("run", options, resume: true));
        StringAssert.Contains(e.Message, folder);
        StringAssert.Contains(e.Message, "is missing");
    }

    // The learning rate is so high that the best model is not the last one.
    private static LeapLanguageModelTrainer.Options MakeOptionsWithAnEarlyBest(List<TrainingProgress> reports) => TrainingSamples.Options(4, 2).With(o =>
    {
        o.LearningRate = 0.5;
        o.Schedule = LearningRateSchedule.Constant();
        o.KeepBestModel = true;
        o.EvaluationInterval = TrainingInterval.Steps(1);
        o.Progress = reports.Add;
    });

    [TestMethod]
    public void Run_WithCheckpoints_LeavesTorchAsItWas()
    {
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(2, 4).With(o => o.KeepBestModel = true);
        using var model = new LeapModel(TrainingSamples.Config, CPU, 5);
        using var state = new TorchState();
        foreach (bool resume in new[] { false, true })
        {
            using var loop = new TrainingLoop(model, Training, Validation, WithCheckpoints(options, "run", resume))
            {
                WriteModel = target => Write(target, model),
            };
            loop.Run();
        }
    }

    [TestMethod]
    public void Run_TimeSpentByACheckpoint_EvaluatesTheLastStep()
    {
        using var model = new LeapModel(TrainingSamples.Config, CPU, 5);
        var budget = TimeSpan.FromMilliseconds(200);
        List<TrainingProgress> reports = [];
        LeapLanguageModelTrainer.Options options = WithCheckpoints(TrainingSamples.Options(100_000, 4), "run", resume: false).With(o =>
        {
            o.TimeBudget = budget;
            o.EvaluationInterval = TrainingInterval.Steps(int.MaxValue);
            o.Progress = reports.Add;
        });
        using var loop = new TrainingLoop(model, Training, Validation, options)
        {
            WriteModel = target =>
            {
                Thread.Sleep(budget);
                Write(target, model);
            },
        };

        loop.Run();

        Assert.IsNotNull(reports[^1].ValidationLoss);
        Assert.AreEqual(reports[^1].Step, loop.Records.Single().Step);
    }

    private string Refusal(LeapLanguageModelTrainer.Options options, TokenBlocks training, LeapConfig config)
    {
        using var model = new LeapModel(config, CPU, 5);
        return Assert.ThrowsExactly<InvalidOperationException>(
            () => new TrainingLoop(model, training, Validation, WithCheckpoints(options, "run", true))).Message;
    }

    private (float[] Weights, IReadOnlyList<TrainingRecord> Records) Run(string name, LeapLanguageModelTrainer.Options options, bool resume, int? stopAt = null, long? pauseAt = null)
    {
        using var source = new CancellationTokenSource();
        using var model = new LeapModel(TrainingSamples.Config, CPU, 5);
        void Stop(TrainingProgress progress)
        {
            if (progress.Step == stopAt)
                source.Cancel();
        }

        options = WithCheckpoints(options, name, resume);
        options.Progress += Stop;
        options.CancellationToken = source.Token;
        using var loop = new TrainingLoop(model, Training, Validation, options) { WriteModel = target => Write(target, model) };
        loop.Run(pauseAt);
        return (TrainingSamples.GetWeights(model), loop.Records);
    }

    private LeapLanguageModelTrainer.Options WithCheckpoints(LeapLanguageModelTrainer.Options options, string name, bool resume) => options.With(o =>
    {
        o.CheckpointFolder = Path.Combine(_folder, name);
        o.CheckpointInterval = TrainingInterval.Steps(2);
        o.KeptCheckpoints = 2;
        o.Resume = resume;
    });

    private static void Write(IModelTarget target, LeapModel model) =>
        target.Write(ModelFileNames.Weights, stream => Checkpoint.Write(stream, model.Config, model.GetWeights()));

    private static TrainingRecord Timeless(TrainingRecord record) => record with { Elapsed = default };

    private static byte[] Sum(string path) => SHA256.HashData(File.ReadAllBytes(path));
}
