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
        TrainingSettings settings = TrainingSamples.Settings(3, 1) with
        {
            Optimizer = optimizer,
            GradientAccumulation = 2,
            LearningRate = keepBest ? 0.3 : 1e-3,
            KeepBestModel = keepBest,
            EvaluationInterval = TrainingInterval.Steps(2),
        };
        (float[] whole, IReadOnlyList<TrainingRecord> records) = Run("whole", settings, resume: false);

        Assert.ThrowsExactly<OperationCanceledException>(() => Run("parts", settings, resume: false, stopAt: interruption));
        (float[] resumed, IReadOnlyList<TrainingRecord> resumedRecords) = Run("parts", settings, resume: true);

        CollectionAssert.AreEqual(whole, resumed);
        Assert.AreEqual(12, records[^1].Step);
        CollectionAssert.AreEqual(records.Select(Timeless).ToArray(), resumedRecords.Select(Timeless).ToArray());
        string last = new CheckpointFolder(Path.Combine(_folder, "whole")).PathOf(12);
        foreach (string name in new[] { "model.safetensors", "optimizer.safetensors" })
            CollectionAssert.AreEqual(Sum(Path.Combine(last, name)), Sum(Path.Combine(last.Replace("whole", "parts"), name)), name);
    }

    [TestMethod]
    public void Run_PausedAndResumed_EqualsTheWholeRunBitForBit()
    {
        TrainingSettings settings = TrainingSamples.Settings(3, 2);
        (float[] whole, IReadOnlyList<TrainingRecord> records) = Run("whole", settings, resume: false);

        (_, IReadOnlyList<TrainingRecord> paused) = Run("parts", settings with { PauseAfterSteps = 5 }, resume: false);
        (float[] resumed, IReadOnlyList<TrainingRecord> resumedRecords) = Run("parts", settings, resume: true);

        // A pause is an end, which is evaluated.
        Assert.AreEqual(5, paused[^1].Step);
        CollectionAssert.AreEqual(whole, resumed);
        Assert.AreEqual(records[^1].ValidationLoss, resumedRecords[^1].ValidationLoss);
    }

    [TestMethod]
    public void Run_OfAFinishedRun_GivesItsModel()
    {
        TrainingSettings settings = TrainingSamples.Settings(2, 4);
        (float[] first, IReadOnlyList<TrainingRecord> records) = Run("run", settings, resume: false);
        (float[] again, IReadOnlyList<TrainingRecord> recordsAgain) = Run("run", settings, resume: true);
        CollectionAssert.AreEqual(first, again);
        CollectionAssert.AreEqual(records.ToArray(), recordsAgain.ToArray());
    }

    [TestMethod]
    public void Run_ManyCheckpoints_KeepsTheLatestAndTheBest()
    {
        List<TrainingProgress> reports = [];
        TrainingSettings settings = TrainingSamples.Settings(4, 2) with
        {
            LearningRate = 0.5,
            Schedule = LearningRateSchedule.Constant(),
            KeepBestModel = true,
            EvaluationInterval = TrainingInterval.Steps(1),
            Report = reports.Add,
        };
        Directory.CreateDirectory(Path.Combine(_folder, "run", "step-0000000002.tmp"));
        Run("run", settings, resume: false);

        long best = reports.MinBy(report => report.ValidationLoss)!.Step;
        IReadOnlyList<long> steps = new CheckpointFolder(Path.Combine(_folder, "run")).Steps;
        CollectionAssert.Contains(steps.ToArray(), best);
        CollectionAssert.Contains(steps.ToArray(), 16L);
        Assert.IsLessThanOrEqualTo(3, steps.Count);
        Assert.HasCount(steps.Count, Directory.GetFileSystemEntries(Path.Combine(_folder, "run")));
    }

    [TestMethod]
    public void Run_ResumingAnotherRun_IsRefusedInWords()
    {
        TrainingSettings settings = TrainingSamples.Settings(1, 4);
        Run("run", settings, resume: false);

        string message = Refusal(settings with { LearningRate = 0.25 }, Training, TrainingSamples.Config);
        StringAssert.Contains(message, "LearningRate is 0.001");
        StringAssert.Contains(message, "0.25");
        StringAssert.Contains(Refusal(settings, new StreamBlocks(TrainingSamples.Ids[1..], 8), TrainingSamples.Config), "training data");
        StringAssert.Contains(Refusal(settings, Training, new LeapConfig(13, 8, 8, 1, 2)), "network");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Run("run", settings, resume: false)).Message, "Set Resume");
    }

    [TestMethod]
    public void Run_ResumingATruncatedCheckpoint_IsAFormatException()
    {
        TrainingSettings settings = TrainingSamples.Settings(1, 4);
        Run("run", settings, resume: false);
        string file = Path.Combine(new CheckpointFolder(Path.Combine(_folder, "run")).PathOf(2), "optimizer.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^9]);

        Assert.ThrowsExactly<FormatException>(() => Run("run", settings, resume: true));
    }

    [TestMethod]
    public void Run_WithCheckpoints_LeavesTorchAsItWas()
    {
        TrainingSettings settings = TrainingSamples.Settings(2, 4) with { KeepBestModel = true };
        using var model = new LeapModel(TrainingSamples.Config, CPU, 5);
        using var state = new TorchState();
        foreach (bool resume in new[] { false, true })
        {
            using var loop = new TrainingLoop(model, Training, Validation, settings with { Checkpoints = Settings("run", model, resume) });
            loop.Run();
        }
    }

    private string Refusal(TrainingSettings settings, TokenBlocks training, LeapConfig config)
    {
        using var model = new LeapModel(config, CPU, 5);
        return Assert.ThrowsExactly<InvalidOperationException>(
            () => new TrainingLoop(model, training, Validation, settings with { Checkpoints = Settings("run", model, true) })).Message;
    }

    private (float[] Weights, IReadOnlyList<TrainingRecord> Records) Run(string name, TrainingSettings settings, bool resume, int? stopAt = null)
    {
        using var source = new CancellationTokenSource();
        using var model = new LeapModel(TrainingSamples.Config, CPU, 5);
        void Stop(TrainingProgress progress)
        {
            if (progress.Step == stopAt)
                source.Cancel();
        }

        settings = settings with
        {
            Report = settings.Report + Stop,
            CancellationToken = source.Token,
            Checkpoints = Settings(name, model, resume),
        };
        using var loop = new TrainingLoop(model, Training, Validation, settings);
        loop.Run();
        return (TrainingSamples.WeightsOf(model), loop.Records);
    }

    private CheckpointSettings Settings(string name, LeapModel model, bool resume) => new(
        Path.Combine(_folder, name), TrainingInterval.Steps(2), 2, resume,
        target => target.Write(
            ModelFileNames.Weights,
            stream => Checkpoint.Write(stream, model.Config, model.GetWeights())));

    private static TrainingRecord Timeless(TrainingRecord record) => record with { Elapsed = default };

    private static byte[] Sum(string path) => SHA256.HashData(File.ReadAllBytes(path));
}
