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
    public static System.CommandLine.Command Create()
    {
        var steps = new Option<int>("--steps") { Description = "Steps of the run", DefaultValueFactory = _ => 200 };
        var killAt = new Option<int>("--kill-at") { Description = "Step after which the process is killed", DefaultValueFactory = _ => 107 };
        var child = new Option<string?>("--child") { Description = "Checkpoint folder of the run", Hidden = true };
        var command = new System.CommandLine.Command("resume", "Kill a training process, resume it, and compare with an uninterrupted run.")
        {
            steps, killAt, child,
        };
        command.SetAction(result =>
        {
            int count = result.GetValue(steps);
            if (result.GetValue(child) is not string folder)
                return Compare(count, result.GetValue(killAt));
            ResumeRun.Train(folder, count);
            return 0;
        });
        return command;
    }

    private static int Compare(int steps, int killAt)
    {
        string root = Directory.CreateTempSubdirectory("leap-resume-").FullName;
        try
        {
            string whole = Path.Combine(root, "whole");
            string parts = Path.Combine(root, "parts");
            Run(whole, steps, killAt: null);
            Run(parts, steps, killAt);
            using (var folder = new CheckpointFolder(parts))
                Console.WriteLine($"killed after step {killAt}; latest checkpoint: {(folder.Steps.Count > 0 ? folder.Steps[^1] : "none")}");
            Run(parts, steps, killAt: null);

            using var wholeFolder = new CheckpointFolder(whole);
            using var partsFolder = new CheckpointFolder(parts);
            string? difference = CheckpointComparison.FirstDifference(wholeFolder.GetPath(steps), partsFolder.GetPath(steps));
            Console.WriteLine(difference ?? "bit-identical");
            return difference is null ? 0 : 1;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    // The child tells its steps, a line each.
    private static void Run(string folder, int steps, int? killAt)
    {
        ProcessStartInfo start = ChildProgram.Start(["resume", "--child", folder, "--steps", steps.ToString(CultureInfo.InvariantCulture)]);
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
    public static void Train(string folder, int steps)
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
            MemoryMegabytes = 0,
            Optimizer = TrainingOptimizer.AdamW,
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
            Device = "cpu",
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

/// <summary>Compares the weights, the optimizer's state and the loss log of two checkpoints bit by bit.</summary>
internal static class CheckpointComparison
{
    /// <summary>Says where they differ first; <see langword="null"/> where they do not.</summary>
    public static string? FirstDifference(string left, string right)
    {
        foreach (string file in new[] { "model.safetensors", "optimizer.safetensors" })
        {
            using DisposeScope scope = NewDisposeScope();
            IReadOnlyDictionary<string, Tensor> a = TensorFiles.Load(Path.Combine(left, file));
            IReadOnlyDictionary<string, Tensor> b = TensorFiles.Load(Path.Combine(right, file));
            if (!a.Keys.ToHashSet().SetEquals(b.Keys))
                return $"{file}: the tensors' names differ";
            foreach (string name in a.Keys.Order(StringComparer.Ordinal))
            {
                if (FirstDifference(a[name], b[name]) is string difference)
                    return $"{file}: {name}{difference}";
            }
        }

        return null;
    }

    private static string? FirstDifference(Tensor a, Tensor b)
    {
        if (!a.shape.SequenceEqual(b.shape))
            return $": [{string.Join(", ", a.shape)}] or [{string.Join(", ", b.shape)}]";
        int at = a.bytes.CommonPrefixLength(b.bytes);
        if (at == a.bytes.Length)
            return null;
        long index = at / a.element_size();
        return $"[{index}]: {a.view(-1)[index].ToDouble():R} or {b.view(-1)[index].ToDouble():R}";
    }
}
