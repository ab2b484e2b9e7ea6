using System.CommandLine;
using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "context": training speed of LEAP and GPT-2 by the sequence's length.</summary>
internal static class ContextCommand
{
    // Fewer layers than elsewhere: GPT-2's longest step takes long enough. With a small vocabulary the ratio does not depend on them.
    public static TrainingShape DefaultShape { get; } = new() { LayerCount = 2, VocabularySize = 256 };

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var lengths = new Option<int[]>("--lengths")
        {
            Description = "Context lengths",
            DefaultValueFactory = _ => [512, 1024, 2048, 4096, 8192, 16384, 32768],
            AllowMultipleArgumentsPerToken = true,
        };
        var layers = new Option<int>("--layers") { Description = "Layers of both networks", DefaultValueFactory = _ => DefaultShape.LayerCount };
        var hidden = new Option<int>("--hidden") { Description = "Width of both", DefaultValueFactory = _ => DefaultShape.HiddenSize };
        var tokens = new Option<int>("--step-tokens") { Description = "Tokens of a step", DefaultValueFactory = _ => 32768 };
        var seconds = new Option<double>("--seconds")
        {
            Description = "Time for each length; at least three pairs of steps are measured",
            DefaultValueFactory = _ => 20,
        };
        Option<string?> device = ModelChoice.CreateDeviceOption();
        Option<TrainingPrecision> precision = PrecisionChoice.CreateOption(TrainingPrecision.Auto);
        var command = new System.CommandLine.Command("context", "Measure training speed by context length, beside GPT-2.")
        {
            json, lengths, layers, hidden, tokens, seconds, device, precision,
        };
        command.SetAction(arguments =>
        {
            TrainingShape shape = DefaultShape with { LayerCount = arguments.GetValue(layers), HiddenSize = arguments.GetValue(hidden) };
            var benchmark = new ContextBenchmark(
                shape.On(arguments.GetValue(device), arguments.GetValue(precision)), TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(tokens));
            ContextReport report = benchmark.Run(arguments.GetRequiredValue(lengths));
            report.Write();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }
}

/// <summary>Trains LEAP and GPT-2 on sequences of several lengths, the same number of tokens per step. All take turns, step by step: the
/// lengths are compared with one another too.</summary>
internal sealed class ContextBenchmark(TrainingShape shape, TimeSpan timePerLength, int tokensPerStep)
{
    // Three make a median that one disturbed pair cannot move.
    private const int LeastPairs = 3;
    private const int MostPairs = 25;

    // .NET compiles a method for speed only once it has often run; at other lengths the first step only allocates.
    private const int FirstWarmups = 10;

    private readonly List<MatrixRate> _rates = [];

    public ContextReport Run(IReadOnlyList<int> lengths)
    {
        List<ContextPairs> pairs = [];
        try
        {
            using var products = new MatrixProductRates(shape.Config, shape.Device);
            foreach (int length in lengths)
            {
                pairs.Add(new ContextPairs(shape with { ContextLength = length, BatchSize = Math.Max(1, tokensPerStep / length) }));
                pairs[^1].WarmUp(pairs.Count == 1 ? FirstWarmups : 1);
            }

            Measure(pairs, products);
            return Report(pairs);
        }
        finally
        {
            pairs.ForEach(pair => pair.Dispose());
        }
    }

    private void Measure(List<ContextPairs> pairs, MatrixProductRates products)
    {
        bool isMore = true;
        while (isMore)
        {
            isMore = false;
            foreach (ContextPairs pair in pairs.Where(IsWanted))
            {
                _rates.Add(products.Measure());
                pair.Measure();
                isMore = true;
            }
        }
    }

    private bool IsWanted(ContextPairs pair) =>
        pair.Count < LeastPairs || (pair.Elapsed < timePerLength && pair.Count < MostPairs);

    private ContextReport Report(List<ContextPairs> pairs)
    {
        MatrixRate rate = MatrixRate.Median(_rates);
        return new ContextReport
        {
            Machine = MachineFacts.Collect(),
            Precision = shape.PrecisionName,
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Shape = $"{shape.LayerCount} layers, hidden size {shape.HiddenSize}, {shape.HeadCount} heads, vocabulary {shape.VocabularySize}, " +
                $"{tokensPerStep} tokens per step, on {shape.DeviceName}",
            Rows = [.. pairs.Select(pair => pair.Result())],
        };
    }
}

/// <summary>LEAP and GPT-2 at one context length, and the steps that they have taken in turn.</summary>
internal sealed class ContextPairs : IDisposable
{
    private readonly TrainingShape _shape;
    private readonly TrainingContestant _leap;
    private readonly TrainingContestant _gpt2;
    private readonly List<double> _leapSeconds = [];
    private readonly List<double> _gpt2Seconds = [];

    public ContextPairs(TrainingShape shape)
    {
        _shape = shape;
        _leap = TrainingContestant.Create(TrainingContestant.Leap, shape);
        _gpt2 = TrainingContestant.Create(TrainingContestant.Gpt2, shape);
    }

    public int Count => _leapSeconds.Count;

    public TimeSpan Elapsed => TimeSpan.FromSeconds(_leapSeconds.Sum() + _gpt2Seconds.Sum());

    public void WarmUp(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            _leap.Step();
            _gpt2.Step();
        }
    }

    public void Measure()
    {
        _leapSeconds.Add(_leap.Step());
        _gpt2Seconds.Add(_gpt2.Step());
    }

    public ContextResult Result() => new(
        _shape.ContextLength,
        _shape.BatchSize,
        Count,
        _shape.TokensPerStep / Statistics.Median(_leapSeconds),
        _shape.TokensPerStep / Statistics.Median(_gpt2Seconds),
        Statistics.MedianRatio(_gpt2Seconds, _leapSeconds));

    public void Dispose()
    {
        _leap.Dispose();
        _gpt2.Dispose();
    }
}

/// <summary>What the verb "context" measured.</summary>
internal sealed record ContextReport
{
    public required MachineFacts Machine { get; init; }
    public required string Precision { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Shape { get; init; }
    public required IReadOnlyList<ContextResult> Rows { get; init; }

    /// <summary>Gets LEAP's longest time per token over its shortest, over all lengths.</summary>
    public double LeapSlowestToFastest => Rows.Max(row => row.TokensPerSecondLeap) / Rows.Min(row => row.TokensPerSecondLeap);

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated(
            $"precision {Precision}; matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Shape}");
        Table table = new Table().AddColumns("context", "sequences", "pairs", "LEAP tokens/s", "GPT-2 tokens/s", "ratio");
        foreach (ContextResult row in Rows)
        {
            table.AddRow(
                row.ContextLength.ToString("N0", CultureInfo.InvariantCulture),
                row.BatchSize.ToString(CultureInfo.InvariantCulture),
                row.Pairs.ToString(CultureInfo.InvariantCulture),
                row.TokensPerSecondLeap.ToString("N0", CultureInfo.InvariantCulture),
                row.TokensPerSecondGpt2.ToString("N0", CultureInfo.InvariantCulture),
                row.Ratio.ToString("0.00", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"LEAP's slowest time per token is {LeapSlowestToFastest:0.00} times its fastest.");
    }
}

/// <summary>The training speeds at one context length.</summary>
/// <param name="ContextLength">Tokens of a sequence.</param>
/// <param name="BatchSize">Sequences of a step.</param>
/// <param name="Pairs">Pairs of steps measured.</param>
/// <param name="TokensPerSecondLeap">The median over LEAP's steps.</param>
/// <param name="TokensPerSecondGpt2">The median over GPT-2's steps.</param>
/// <param name="Ratio">LEAP's speed over GPT-2's: the median of the pairs.</param>
internal sealed record ContextResult(
    int ContextLength, int BatchSize, int Pairs, double TokensPerSecondLeap, double TokensPerSecondGpt2, double Ratio);
