using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "generation": what a token costs by its position, beside recomputation and GPT-2 with a key-value cache.</summary>
internal static class GenerationCommand
{
    private static readonly GenerationSettings _default = new();

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        Option<int> rounds = PositiveOption.Create("--rounds", "Rounds of measurements", _default.Rounds);

        // Only the default sizes are the benchmark.
        Option<int> layers = PositiveOption.CreateHidden("--layers", _default.LayerCount);
        Option<int> hidden = PositiveOption.CreateHidden("--hidden", _default.HiddenSize);
        Option<int> heads = PositiveOption.CreateHidden("--heads", _default.HeadCount);
        Option<int> vocabulary = PositiveOption.CreateHidden("--vocabulary", _default.VocabularySize);
        Option<int> context = PositiveOption.CreateHidden("--context", _default.Context);
        Option<int> longContext = PositiveOption.CreateHidden("--long-context", _default.LongContext);
        var positions = new Option<int[]>("--positions")
        {
            Hidden = true,
            DefaultValueFactory = _ => [.. _default.Positions],
            AllowMultipleArgumentsPerToken = true,
        };
        var command = new System.CommandLine.Command("generation", "Measure what a token costs by its position, beside GPT-2 with a cache.")
        {
            json, rounds, layers, hidden, heads, vocabulary, context, longContext, positions,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            using var benchmark = new GenerationBenchmark(new GenerationSettings
            {
                LayerCount = arguments.GetValue(layers),
                HiddenSize = arguments.GetValue(hidden),
                HeadCount = arguments.GetValue(heads),
                VocabularySize = arguments.GetValue(vocabulary),
                Context = arguments.GetValue(context),
                LongContext = arguments.GetValue(longContext),
                Positions = arguments.GetRequiredValue(positions),
                Rounds = arguments.GetValue(rounds),
            });
            GenerationReport report = benchmark.Run();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }
}

/// <summary>The sizes of the generation benchmark; by default those of the original project's experiment.</summary>
internal sealed record GenerationSettings
{
    public int LayerCount { get; init; } = 6;
    public int HiddenSize { get; init; } = 128;
    public int HeadCount { get; init; } = 4;
    public int VocabularySize { get; init; } = 32100;

    /// <summary>Gets the tokens of the prefix that is read anew for each token, and of the shorter cache.</summary>
    public int Context { get; init; } = 2048;

    /// <summary>Gets the tokens of the longer cache.</summary>
    public int LongContext { get; init; } = 16384;

    /// <summary>Gets where tokens are generated, in tokens from the beginning.</summary>
    public IReadOnlyList<int> Positions { get; init; } = [100, 10_000, 1_000_000];

    public int Rounds { get; init; } = 15;

    /// <summary>Gets LEAP's shape. It has no learned positions: they would end at the context's length.</summary>
    public LeapConfig Leap => new(VocabularySize, HiddenSize, Context, LayerCount, HeadCount, usePositionEmbeddings: false);

    /// <summary>Gets GPT-2's shape.</summary>
    /// <param name="length">The most tokens of a text.</param>
    public LeapConfig Gpt2(int length) => new(VocabularySize, HiddenSize, length, LayerCount, HeadCount);
}

/// <summary>Makes tokens in all ways in turn, round by round: each is compared with the others under the same conditions.</summary>
internal sealed class GenerationBenchmark : IDisposable
{
    private const int ManyStreams = 16;

    private readonly GenerationSettings _settings;
    private readonly Random _random = new(1);
    private readonly LeapNetwork _network;
    private readonly List<IGenerationContestant> _owned = [];
    private readonly List<Contestant> _all = [];
    private readonly List<MatrixRate> _rates = [];
    private readonly long _stateBytes;

    private readonly Contestant[] _positions;
    private readonly Contestant _one;
    private readonly Contestant _many;
    private readonly Contestant _recompute;
    private readonly Contestant _recomputeLast;
    private readonly Contestant _cache;
    private readonly Contestant _longCache;

    /// <param name="settings">The sizes. The texts up to their positions are read here.</param>
    public GenerationBenchmark(GenerationSettings settings)
    {
        _settings = settings;
        using (var model = new LeapModel(settings.Leap, CPU, seed: 1))
            _network = new LeapNetwork(model.Config, model.GetWeights());
        int[] prefix = Ids(settings.Context);
        _positions = [.. settings.Positions.Select(position => Add(new LeapStreams(_network, [After(position)])))];
        _one = Add(new LeapStreams(_network, [After(settings.Context)]));
        _many = Add(new LeapStreams(_network, [.. Enumerable.Range(0, ManyStreams).Select(_ => After(settings.Context))]));
        _recompute = Add(new LeapRecomputation(_network, prefix, allLogits: true));
        _recomputeLast = Add(new LeapRecomputation(_network, prefix, allLogits: false));
        _cache = Add(new Gpt2Stream(settings, prefix));
        _longCache = Add(new Gpt2Stream(settings, Ids(settings.LongContext)));
        using NetworkState state = _network.CreateState();
        _stateBytes = state.SizeInBytes;
    }

    public GenerationReport Run()
    {
        using var products = new MatrixProductRates(_settings.Leap);
        Contestant.TakeTurns(_all, _settings.Rounds, between: () => _rates.Add(products.Measure()));
        return Report();
    }

    public void Dispose()
    {
        _owned.ForEach(contestant => contestant.Dispose());
        _network.Dispose();
    }

    private Contestant Add(IGenerationContestant contestant)
    {
        _owned.Add(contestant);
        _all.Add(new Contestant(contestant.Measure));
        return _all[^1];
    }

    private NetworkState After(int position)
    {
        NetworkState state = _network.CreateState();
        _network.Read(Ids(position), state, new float[_settings.HiddenSize]);
        return state;
    }

    private int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(_ => _random.Next(_settings.VocabularySize))];

    private GenerationReport Report()
    {
        MatrixRate rate = MatrixRate.Median(_rates);
        return new GenerationReport
        {
            Machine = MachineFacts.Collect(),
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Network = _settings.Leap.ToString(),
            Rounds = _settings.Rounds,
            Context = _settings.Context,
            LongContext = _settings.LongContext,
            Positions = [.. _settings.Positions.Zip(_positions, (position, timed) => new GenerationPosition(position, timed.Median))],
            TokensPerSecond1 = 1000 / _one.Median,
            TokensPerSecond16 = ManyStreams * 1000 / _many.Median,
            StateBytes = _stateBytes,
            RecomputeMillisecondsPerToken2048 = _recompute.Median,
            RecomputeLastLogitsMillisecondsPerToken2048 = _recomputeLast.Median,
            Gpt2CacheMillisecondsPerToken2048 = _cache.Median,
            Gpt2CacheMillisecondsPerToken16384 = _longCache.Median,
            RecomputeToStep = Statistics.MedianRatio(_recompute.Rounds, _one.Rounds),
            RecomputeLastLogitsToStep = Statistics.MedianRatio(_recomputeLast.Rounds, _one.Rounds),
        };
    }
}

/// <summary>What the verb "generation" measured. A key's 2048 and 16384 are the default lengths; <see cref="Context"/> and
/// <see cref="LongContext"/> are those of this run.</summary>
internal sealed record GenerationReport
{
    public required MachineFacts Machine { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Network { get; init; }
    public required int Rounds { get; init; }
    public required int Context { get; init; }
    public required int LongContext { get; init; }
    public required IReadOnlyList<GenerationPosition> Positions { get; init; }
    public required double TokensPerSecond1 { get; init; }
    public required double TokensPerSecond16 { get; init; }
    public required long StateBytes { get; init; }
    public required double RecomputeMillisecondsPerToken2048 { get; init; }
    public required double RecomputeLastLogitsMillisecondsPerToken2048 { get; init; }
    public required double Gpt2CacheMillisecondsPerToken2048 { get; init; }
    public required double Gpt2CacheMillisecondsPerToken16384 { get; init; }

    /// <summary>Gets the median over the rounds of how many steps one recomputation with all logits takes.</summary>
    public required double RecomputeToStep { get; init; }

    /// <summary>Gets the same of the recomputation with the last token's logits.</summary>
    public required double RecomputeLastLogitsToStep { get; init; }

    /// <summary>Gets the longest time over the shortest, of the positions.</summary>
    public double SlowestToFastestPosition =>
        Positions.Max(row => row.MillisecondsPerToken) / Positions.Min(row => row.MillisecondsPerToken);

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Network}");
        AnsiConsole.MarkupLineInterpolated($"fp32, greedy, medians of {Rounds} rounds");
        Table table = new Table().AddColumns("one token by", "position", "ms");
        foreach (GenerationPosition row in Positions)
            AddRow(table, "LEAP, a step", row.Position, row.MillisecondsPerToken);
        AddRow(table, "LEAP, the prefix anew, all logits", Context, RecomputeMillisecondsPerToken2048);
        AddRow(table, "LEAP, the prefix anew, last logits", Context, RecomputeLastLogitsMillisecondsPerToken2048);
        AddRow(table, "GPT-2, a step with its cache", Context, Gpt2CacheMillisecondsPerToken2048);
        AddRow(table, "GPT-2, a step with its cache", LongContext, Gpt2CacheMillisecondsPerToken16384);
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated(
            $"tokens/s: {TokensPerSecond1:N0} of one stream, {TokensPerSecond16:N0} of 16; state {StateBytes:N0} bytes");
        AnsiConsole.MarkupLineInterpolated(
            $"The prefix of {Context:N0} anew takes {RecomputeToStep:0} steps' time, {RecomputeLastLogitsToStep:0} with the last logits.");
        AnsiConsole.MarkupLineInterpolated($"The slowest position takes {SlowestToFastestPosition:0.00} times the fastest's time.");
    }

    private static void AddRow(Table table, string name, int position, double milliseconds) => table.AddRow(
        name, position.ToString("N0", CultureInfo.InvariantCulture), milliseconds.ToString("0.000", CultureInfo.InvariantCulture));
}

/// <summary>The time of one token at a position.</summary>
/// <param name="Position">Tokens read before.</param>
/// <param name="MillisecondsPerToken">A step, the logits and the most likely token; the median of the rounds.</param>
internal sealed record GenerationPosition(int Position, double MillisecondsPerToken);
