using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the checks of the verb "gpu" compute on.</summary>
/// <param name="RequestedDevice">"cpu", "cuda" or "cuda:1"; null for CUDA if there is one.</param>
/// <param name="Fixtures">Folder of the reference cases.</param>
/// <param name="Text">Text to train on, a line per row.</param>
internal sealed record GpuSettings(string? RequestedDevice, DirectoryInfo Fixtures, FileInfo Text)
{
    private const int LeastCharacters = 20;

    public Device Device => DeviceChoice.Get(RequestedDevice);

    public string DeviceName => Device.ToString();

    public bool IsGpu => Device.type == DeviceType.CUDA;

    /// <summary>Gets the training shape of the contests: that of the benchmarks with more tokens per step on a GPU, a small one on the
    /// CPU, where the contests only show that they run.</summary>
    public TrainingShape Shape => IsGpu
        ? new TrainingShape { DeviceName = DeviceName, BatchSize = 16 }
        : new TrainingShape { DeviceName = DeviceName, LayerCount = 2, ContextLength = 256, VocabularySize = 2048 };

    public string[] ReadRows(int count) => [.. TextFile.ReadLines(Text.FullName).Where(line => line.Length >= LeastCharacters).Take(count)];
}

/// <summary>The checks of the verb "gpu", by name.</summary>
internal static class GpuChecks
{
    // A log-likelihood per token in nats, between torch on a GPU and the engine on the CPU.
    private const double ScoringTolerance = 1e-3;

    private static readonly Dictionary<string, Func<GpuSettings, (bool IsPassed, string Message, object Figures)>> Checks = new()
    {
        ["library"] = FindDevice,
        ["parity"] = CompareFixtures,
        ["training-fp32"] = settings => GpuTraining.Compare(settings, TrainingPrecision.Float32),
        ["training-bf16"] = settings => GpuTraining.Compare(settings, TrainingPrecision.BFloat16),
        ["scoring"] = CompareScores,
        ["resume"] = Resume,
        ["contest-training-fp32"] = settings => ContestTraining(settings, bfloat16: false),
        ["contest-training-bf16"] = settings => ContestTraining(settings, bfloat16: true),
        ["contest-context-fp32"] = settings => ContestContext(settings, bfloat16: false),
        ["contest-context-bf16"] = settings => ContestContext(settings, bfloat16: true),
    };

    public static IReadOnlyCollection<string> Names => Checks.Keys;

    public static (bool IsPassed, string Message, object Figures) Run(string name, GpuSettings settings) => Checks[name](settings);

    private static (bool, string, object) FindDevice(GpuSettings settings)
    {
        MachineFacts machine = MachineFacts.Collect();
        int gpus = cuda.is_available() ? cuda.device_count() : 0;
        using Tensor product = ones([64, 64], ScalarType.Float32, settings.Device).matmul(ones([64, 64], ScalarType.Float32, settings.Device));
        double sum = product.sum().cpu().item<float>();
        return (sum == 64 * 64 * 64, $"TorchSharp for libtorch {__version__.TrimEnd('0').TrimEnd('.')} computes on {settings.DeviceName}; torch sees {Count(gpus, "CUDA GPU")}.", machine);
    }

    private static (bool, string, object) CompareFixtures(GpuSettings settings)
    {
        FileInfo[] files = [.. settings.Fixtures.GetFiles("*.safetensors").OrderBy(file => file.Name, StringComparer.Ordinal)];
        if (files.Length == 0)
            throw new FileNotFoundException($"{settings.Fixtures.FullName} has no reference cases (*.safetensors).");

        // Where there is no GPU, the CPU takes a GPU's operations.
        RawMemory.IsHidden = !settings.IsGpu;
        List<string> failed = [.. files.Where(file => !ParityCommand.Passes(file, settings.Device)).Select(file => file.Name)];
        return (
            failed.Count == 0,
            failed.Count == 0 ? $"{Count(files.Length, "reference case")} of the Python original agree." : $"These differ: {string.Join(", ", failed)}.",
            files.Select(file => file.Name));
    }

    private static (bool, string, object) CompareScores(GpuSettings settings)
    {
        string[] rows = settings.ReadRows(400);
        string folder = Directory.CreateTempSubdirectory("leap-gpu-").FullName;
        ScoringSide onCpu, onDevice;
        try
        {
            using (LeapLanguageModelTransformer trained = GpuTraining.Fit(settings.DeviceName, rows, TrainingPrecision.Float32, _ => { }))
                trained.SavePretrained(folder);
            onCpu = ScoringSide.Measure(folder, "cpu", rows);
            onDevice = ScoringSide.Measure(folder, settings.DeviceName, rows);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        double largest = onCpu.Rows.Zip(onDevice.Rows, (a, b) => Math.Abs(a.LogLikelihood - b.LogLikelihood) / Math.Max(1, a.TokenCount)).Max();
        bool sameCounts = onCpu.Rows.Zip(onDevice.Rows, (a, b) => a.TokenCount == b.TokenCount).All(same => same);
        return (
            sameCounts && largest <= ScoringTolerance,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{rows.Length} rows: the largest difference per token is {largest:0.0e+00} nats; {onDevice.RowsPerSecond:0} rows/s on {settings.DeviceName}, {onCpu.RowsPerSecond:0} on the CPU."),
            new { rows.Length, largest, onDevice.RowsPerSecond, RowsPerSecondCpu = onCpu.RowsPerSecond });
    }

    private static (bool, string, object) Resume(GpuSettings settings)
    {
        (bool isPassed, string message) = ResumeCommand.Compare(steps: 120, killAt: 67, settings.DeviceName);
        return (isPassed, message, new { message });
    }

    private static (bool, string, object) ContestTraining(GpuSettings settings, bool bfloat16)
    {
        TrainingShape shape = settings.Shape with { UsesBFloat16 = bfloat16 };
        TrainingReport report = TrainingCommand.Run(shape, warmups: 3, rounds: settings.IsGpu ? 15 : 3);
        TrainingTables.Write(report);
        return (true, Ratio(report.TokensPerSecondLeap, report.TokensPerSecondGpt2, report.RatioToGpt2), report);
    }

    private static (bool, string, object) ContestContext(GpuSettings settings, bool bfloat16)
    {
        TrainingShape shape = ContextCommand.DefaultShape with { UsesBFloat16 = bfloat16, DeviceName = settings.DeviceName };
        int[] lengths = settings.IsGpu ? [512, 1024, 2048, 4096, 8192, 16384, 32768] : [128, 256, 512];
        TimeSpan time = TimeSpan.FromSeconds(settings.IsGpu ? 10 : 3);
        ContextReport report = new ContextBenchmark(shape, time, tokensPerStep: lengths[^1]).Run(lengths);
        report.Write();
        ContextResult longest = report.Rows[^1];
        return (
            true,
            $"At {longest.ContextLength} tokens: {Ratio(longest.TokensPerSecondLeap, longest.TokensPerSecondGpt2, longest.Ratio)}",
            report);
    }

    private static string Ratio(double leap, double gpt2, double ratio) => string.Create(
        CultureInfo.InvariantCulture, $"LEAP {leap:N0} tokens/s, GPT-2 {gpt2:N0}: {ratio:0.00} times as fast.");

    private static string Count(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}

/// <summary>Training on the device and on the CPU, the same steps with the same seed: dropout too is the same on all devices.</summary>
internal static class GpuTraining
{
    private const int Steps = 60;

    // Rounding differs, and training makes differences grow: the losses of the first steps are compared, in nats.
    private const int ComparedSteps = 20;
    private const double Float32Tolerance = 2e-3;
    private const double BFloat16Tolerance = 5e-2;

    public static (bool IsPassed, string Message, object Figures) Compare(GpuSettings settings, TrainingPrecision precision)
    {
        string[] rows = settings.ReadRows(1500);
        List<TrainingProgress> onCpu = Train("cpu");

        RawMemory.IsHidden = !settings.IsGpu;
        List<TrainingProgress> onDevice = Train(settings.DeviceName);
        RawMemory.IsHidden = false;
        double largest = onCpu.Zip(onDevice, (a, b) => Math.Abs(a.Loss - b.Loss)).Take(ComparedSteps).Max();
        double tolerance = precision == TrainingPrecision.BFloat16 ? BFloat16Tolerance : Float32Tolerance;
        (double first, double last) = (onDevice[0].Loss, onDevice[^1].Loss);
        bool isPassed = onDevice.Count == Steps && onDevice[^1].SkippedSteps == 0 && last < first - 1 && largest <= tolerance;
        return (
            isPassed,
            string.Create(
                CultureInfo.InvariantCulture,
                $"Loss {first:0.000} to {last:0.000} in {onDevice.Count} steps; over {ComparedSteps} steps at most {largest:0.0e+00} nats from the CPU's (allowed: {tolerance:0.0e+00})."),
            new { largest, tolerance, losses = onDevice.Select(step => step.Loss), lossesOnCpu = onCpu.Select(step => step.Loss) });

        List<TrainingProgress> Train(string device)
        {
            List<TrainingProgress> progress = [];
            Fit(device, rows, precision, progress.Add).Dispose();
            return progress;
        }
    }

    /// <summary>Trains a small network, for a fixed number of steps.</summary>
    public static LeapLanguageModelTransformer Fit(string device, string[] rows, TrainingPrecision precision, Action<TrainingProgress> observe)
    {
        var context = new MLContext(seed: 1);
        var options = new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.ByteLevelBpe(1024),
            HiddenSize = 128,
            LayerCount = 3,
            ContextLength = 128,
            BatchSize = 8,
            Dropout = 0.1,

            // Rows would be packed on the CPU and padded on a GPU, and dropout goes by the place in a batch.
            Layout = TrainingLayout.Stream,
            LearningRate = 2e-3,
            MaximumSteps = Steps,
            MemoryMegabytes = 0,
            ValidationFraction = 0,
            Precision = precision,
            Device = device,
            Seed = 1,
            Progress = observe,
        };
        return context.Leap().LanguageModel(options).Fit(context.Data.LoadFromEnumerable(rows.Select(row => new { Text = row })));
    }
}

/// <summary>Scores of rows by one device.</summary>
/// <param name="Rows">The scores, in the rows' order.</param>
/// <param name="RowsPerSecond">The speed of a second pass.</param>
internal sealed record ScoringSide(ScoredRow[] Rows, double RowsPerSecond)
{
    public static ScoringSide Measure(string folder, string device, string[] rows)
    {
        var context = new MLContext(seed: 1);
        using LeapLanguageModelTransformer model = context.Leap().LoadPretrained(folder, device: device);
        IDataView view = context.Data.LoadFromEnumerable(rows.Select(row => new { Text = row }));
        Score();
        long start = Stopwatch.GetTimestamp();
        ScoredRow[] scores = Score();
        return new ScoringSide(scores, rows.Length / Stopwatch.GetElapsedTime(start).TotalSeconds);

        ScoredRow[] Score() => [.. context.Data.CreateEnumerable<ScoredRow>(model.Transform(view), reuseRowObject: false)];
    }
}

/// <summary>A scored row.</summary>
internal sealed class ScoredRow
{
    public float LogLikelihood { get; set; }

    public int TokenCount { get; set; }
}
