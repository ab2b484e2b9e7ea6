using System.Diagnostics;
using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Starts processes that load a model and score one sentence, by the engine and by torch in turn.</summary>
/// <param name="model">The model's zip or folder.</param>
internal sealed class ColdStart(string model)
{
    /// <summary>The hidden verb of such a process: <c>cold-start engine MODEL</c>. The program answers it before it reads its command line,
    /// whose parser would count as a part of the start.</summary>
    public const string Verb = "cold-start";

    private const string Engine = "engine";
    private const string Torch = "torch";
    private const string Sentence = "Gets the number of elements in the collection.";

    // Scores may differ by what single precision does.
    private const double Tolerance = 1e-3;

    private readonly List<Start> _engine = [];
    private readonly List<Start> _torch = [];

    /// <summary>Starts the processes.</summary>
    /// <param name="starts">How many of each count, after one that brings the files into the system's cache.</param>
    /// <exception cref="InvalidOperationException">A process failed, the scores differ, or the engine's process loaded libtorch.</exception>
    public ColdStartResult Measure(int starts)
    {
        var engine = new Contestant(() => Run(Engine, _engine));
        var torch = new Contestant(() => Run(Torch, _torch));
        Contestant.TakeTurns([engine, torch], starts);
        if (_engine.Any(start => start.HasTorch))
            throw new InvalidOperationException("The engine's process has loaded libtorch, which it is to do without.");
        double expected = _torch[0].LogLikelihood;
        if (_engine.Concat(_torch).Any(start => !(Math.Abs(start.LogLikelihood - expected) <= Tolerance * Math.Abs(expected))))
            throw new InvalidOperationException($"The sentence scores {_engine[0].LogLikelihood} by the engine, and {expected} by torch.");
        return new ColdStartResult(
            engine.Median,
            torch.Median,
            Statistics.Median(_engine.Select(start => start.ResidentMegabytes)),
            Statistics.Median(_torch.Select(start => start.ResidentMegabytes)),
            Statistics.Median(_engine.Select(start => start.PeakMegabytes)),
            Statistics.Median(_torch.Select(start => start.PeakMegabytes)));
    }

    /// <summary>In the new process: loads, scores, tells the score, and in a second line what memory that took.</summary>
    /// <param name="by">By what.</param>
    /// <param name="path">The model.</param>
    public static int Answer(string by, string path)
    {
        double score = by == Engine ? ScoreByEngine(path) : ScoreByTorch(path);
        Console.WriteLine(score.ToString("R", CultureInfo.InvariantCulture));
        using Process self = Process.GetCurrentProcess();
        bool hasTorch = self.Modules.Cast<ProcessModule>().Any(module =>
            module.ModuleName.Contains("torch_cpu", StringComparison.OrdinalIgnoreCase)
            || module.ModuleName.Contains("LibTorchSharp", StringComparison.OrdinalIgnoreCase));
        double resident = Environment.WorkingSet / (double)(1 << 20);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{resident:R} {PeakMemory.Megabytes:R} {hasTorch}"));
        return 0;
    }

    private static double ScoreByEngine(string path)
    {
        using LeapLanguageModel model = LeapLanguageModel.Load(path);
        return model.Score(Sentence).LogLikelihood;
    }

    // Reads the same files and scores in the same windows; neither ML.NET nor the engine takes a part of the time.
    private static double ScoreByTorch(string path)
    {
        ModelParts parts;
        if (Directory.Exists(path))
        {
            parts = ModelFolder.Load(path, source => ModelParts.Read(source));
        }
        else
        {
            using FileStream stream = File.OpenRead(path);
            parts = ModelZipReader.Read(stream, source => ModelParts.Read(source));
        }

        NativeBackend.EnsureLoaded();
        using GpuScorer torch = TorchScorer.Create(parts.Config, parts.Weights);
        var scorer = new TextScorer(torch.ComputeLosses, parts.Memory, new WorkSharing(threadCount: 0), ReadingPlan.Of(parts.Config), parts.Tokenizer.EndOfTextId);
        return scorer.Score([parts.Tokenizer.Encode(Sentence)])[0].LogLikelihood;
    }

    private double Run(string by, List<Start> starts)
    {
        long start = Stopwatch.GetTimestamp();
        using Process process = Process.Start(ChildProgram.Start([Verb, by, model]))!;
        string? score = process.StandardOutput.ReadLine();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        string? facts = process.StandardOutput.ReadLine();
        process.WaitForExit();
        if (score is null || facts?.Split(' ') is not [string resident, string peak, string hasTorch])
            throw new InvalidOperationException($"The process that scores by {by} ended with the exit code {process.ExitCode}.");
        starts.Add(new Start(Number(score), Number(resident), Number(peak), bool.Parse(hasTorch)));
        return seconds;

        static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
    }

    private sealed record Start(double LogLikelihood, double ResidentMegabytes, double PeakMegabytes, bool HasTorch);
}

/// <summary>What new processes take until a sentence is scored: medians.</summary>
/// <param name="Seconds">From the start of the process to the score, by the engine.</param>
/// <param name="SecondsTorch">The same by torch.</param>
/// <param name="ResidentMegabytes">Memory (2^20 bytes) that the engine's process holds then, runtime and libraries included.</param>
/// <param name="ResidentMegabytesTorch">The same of torch's.</param>
/// <param name="PeakMegabytes">The most that the engine's process has held until then.</param>
/// <param name="PeakMegabytesTorch">The same of torch's.</param>
internal sealed record ColdStartResult(
    double Seconds, double SecondsTorch, double ResidentMegabytes, double ResidentMegabytesTorch, double PeakMegabytes, double PeakMegabytesTorch);

/// <summary>The package's torch network as a scorer on the CPU, in batches of rows of like length.</summary>
internal static class TorchScorer
{
    public static GpuScorer Create(LeapConfig config, IReadOnlyDictionary<string, float[]> weights)
    {
        var network = new LeapModel(config, CPU, seed: 0);
        network.SetWeights(weights);
        network.eval();
        return new GpuScorer(network, new LeapLanguageModelTrainer.Options().ScoringTokensPerBatch);
    }
}
