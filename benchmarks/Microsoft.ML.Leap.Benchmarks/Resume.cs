using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "resume": trains in a process of its own, kills that (SIGKILL on Unix), resumes in another, and compares the last
/// checkpoint with that of a run which nobody interrupted.</summary>
internal static class ResumeCommand
{
    private const double ToleranceOnGpu = 1e-3;

    public static System.CommandLine.Command Create()
    {
        var steps = new Option<int>("--steps") { Description = "Steps of the run", DefaultValueFactory = _ => 200 };
        var killAt = new Option<int>("--kill-at") { Description = "Step after which the process is killed", DefaultValueFactory = _ => 107 };
        Option<string?> device = ModelChoice.CreateDeviceOption();
        var child = new Option<string?>("--child") { Description = "Checkpoint folder of the run", Hidden = true };
        var command = new System.CommandLine.Command("resume", "Kill a training process, resume it, and compare with an uninterrupted run.")
        {
            steps, killAt, device, child,
        };
        command.SetAction(result =>
        {
            int count = result.GetValue(steps);
            string? wanted = result.GetValue(device);
            if (result.GetValue(child) is string folder)
            {
                ResumeRun.Train(folder, count, wanted);
                return 0;
            }

            (bool isPassed, string message) = Compare(count, result.GetValue(killAt), wanted);
            Console.WriteLine(message);
            return isPassed ? 0 : 1;
        });
        return command;
    }

    /// <summary>Compares, and tells whether the resumed run is near enough: to the bit, but on a GPU, where torch adds up the gradients of the
    /// embeddings in any order.</summary>
    public static (bool IsPassed, string Message) Compare(int steps, int killAt, string? device)
    {
        string root = Directory.CreateTempSubdirectory("leap-resume-").FullName;
        try
        {
            string whole = Path.Combine(root, "whole");
            string parts = Path.Combine(root, "parts");
            Run(whole, steps, killAt: null, device);
            Run(parts, steps, killAt, device);
            using (var folder = new CheckpointFolder(parts))
                Console.WriteLine($"killed after step {killAt}; latest checkpoint: {(folder.Steps.Count > 0 ? folder.Steps[^1] : "none")}");
            Run(parts, steps, killAt: null, device);

            using var wholeFolder = new CheckpointFolder(whole);
            using var partsFolder = new CheckpointFolder(parts);
            CheckpointComparison comparison = CheckpointComparison.Compare(wholeFolder.GetPath(steps), partsFolder.GetPath(steps));
            double allowed = DeviceChoice.Get(device).type == DeviceType.CPU ? 0 : ToleranceOnGpu;
            return (comparison.LargestDifference <= allowed, comparison.ToString());
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    // The child tells its steps, a line each.
    private static void Run(string folder, int steps, int? killAt, string? device)
    {
        string[] wanted = device is null ? [] : ["--device", device];
        ProcessStartInfo start = ChildProgram.Start(
            ["resume", "--child", folder, "--steps", steps.ToString(CultureInfo.InvariantCulture), .. wanted]);
        using Process process = Process.Start(start)!;
        bool isKilled = false;
        while (process.StandardOutput.ReadLine() is string line)
        {
            if (isKilled || killAt is null || int.Parse(line, CultureInfo.InvariantCulture) < killAt)
                continue;
            process.Kill();
            isKilled = true;
        }

        process.WaitForExit();
        if (process.ExitCode != 0 && !isKilled)
            throw new InvalidOperationException($"The training process ended with the exit code {process.ExitCode}.");
        if (killAt is not null && (!isKilled || process.ExitCode == 0))
            throw new InvalidOperationException("The training process ended before it could be killed; use a lower --kill-at.");
    }
}

/// <summary>A small training run on made-up text that uses all that a checkpoint must keep: dropout, shuffling, accumulation, warmup,
/// evaluations and the best model.</summary>
internal static class ResumeRun
{
    private static readonly string[] _words = ["the", "cat", "dog", "house", "sees", "eats", "sleeps", "in", "under", "a", "red", "quiet"];

    /// <summary>Trains, or goes on from the folder's latest checkpoint, and prints the number of each step.</summary>
    public static void Train(string folder, int steps, string? device)
    {
        var context = new MLContext();
        IDataView texts = context.Data.LoadFromEnumerable(Texts().Select(text => new { Text = text }));
        var options = new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.Bytes(),
            HiddenSize = 32,
            LayerCount = 2,
            ContextLength = 32,
            UsePositionEmbeddings = true,
            Dropout = 0.1,
            Layout = TrainingLayout.Stream,
            ConvolutionSize = 0,
            UseForgetGates = false,
            MemoryMegabytes = 0,
            Optimizer = TrainingOptimizer.AdamW,
            WeightDecay = 0.01,
            LearningRate = 5e-4,
            BatchSize = 4,
            GradientAccumulation = 2,
            MaximumSteps = steps,
            WarmupSteps = steps / 10,
            Schedule = LearningRateSchedule.Cosine(),
            ValidationFraction = 0.1,
            EvaluationInterval = TrainingInterval.Steps(30),
            CheckpointFolder = folder,
            CheckpointInterval = TrainingInterval.Steps(50),
            Resume = true,
            Seed = 1,
            Device = device,
            Progress = progress => Console.WriteLine(progress.Step.ToString(CultureInfo.InvariantCulture)),
        };
        context.Leap().LanguageModel(options).Fit(texts).Dispose();
    }

    private static IEnumerable<string> Texts()
    {
        var random = new Random(3);
        for (int i = 0; i < 200; i++)
            yield return string.Join(' ', Enumerable.Range(0, 12).Select(_ => _words[random.Next(_words.Length)]));
    }
}

/// <summary>How far the weights and the optimizer's state of two checkpoints are from each other.</summary>
/// <param name="FirstDifference">Where they differ first; <see langword="null"/> where they are the same to the bit.</param>
/// <param name="LargestDifference">The largest difference of two values over the largest value of their tensor; infinite where the tensors
/// are not the same ones.</param>
internal sealed record CheckpointComparison(string? FirstDifference, double LargestDifference)
{
    public static CheckpointComparison Compare(string left, string right)
    {
        var found = new CheckpointComparison(null, 0);
        foreach (string file in new[] { "model.safetensors", "optimizer.safetensors" })
        {
            using DisposeScope scope = NewDisposeScope();
            IReadOnlyDictionary<string, Tensor> a = TensorFiles.Load(Path.Combine(left, file));
            IReadOnlyDictionary<string, Tensor> b = TensorFiles.Load(Path.Combine(right, file));
            if (!a.Keys.ToHashSet().SetEquals(b.Keys))
                return new CheckpointComparison($"{file}: the tensors' names differ", double.PositiveInfinity);
            foreach (string name in a.Keys.Order(StringComparer.Ordinal))
                found = found.With($"{file}: {name}", a[name], b[name]);
        }

        return found;
    }

    public override string ToString() => FirstDifference is null
        ? "bit-identical"
        : string.Create(CultureInfo.InvariantCulture, $"The largest difference is {LargestDifference:0.0e+00} of its tensor's largest value; the first one: {FirstDifference}");

    private CheckpointComparison With(string name, Tensor a, Tensor b)
    {
        if (!a.shape.SequenceEqual(b.shape))
            return new CheckpointComparison(FirstDifference ?? $"{name}: [{string.Join(", ", a.shape)}] or [{string.Join(", ", b.shape)}]", double.PositiveInfinity);
        int at = a.bytes.CommonPrefixLength(b.bytes);
        if (at == a.bytes.Length)
            return this;
        long index = at / a.element_size();
        (Tensor x, Tensor y) = (a.to(ScalarType.Float64), b.to(ScalarType.Float64));
        double difference = (x - y).abs().max().item<double>() / x.abs().max().item<double>();
        return new CheckpointComparison(
            FirstDifference ?? $"{name}[{index}]: {x.view(-1)[index].item<double>():R} or {y.view(-1)[index].item<double>():R}",
            double.IsFinite(difference) ? Math.Max(LargestDifference, difference) : double.PositiveInfinity);
    }
}
