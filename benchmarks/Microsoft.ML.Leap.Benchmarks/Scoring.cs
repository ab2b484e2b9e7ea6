using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;
using QuickStart;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "scoring": rows per second by row length, batched and one at a time.</summary>
internal static class ScoringCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var rounds = new Option<int>("--rounds") { Description = "Measurements of each length", DefaultValueFactory = _ => 5 };
        var vocabulary = new Option<int>("--vocabulary") { Description = "Tokens of the vocabulary", DefaultValueFactory = _ => 8192 };
        var context = new Option<int>("--context") { Description = "Context length of the model", DefaultValueFactory = _ => 2048 };
        var lengths = new Option<int[]>("--tokens")
        {
            Description = "Row lengths in tokens",
            DefaultValueFactory = _ => [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096],
            AllowMultipleArgumentsPerToken = true,
        };
        var tokensPerRound = new Option<int>("--round-tokens")
        {
            Description = "Tokens of one measurement",
            Hidden = true,
            DefaultValueFactory = _ => 32768,
        };
        var command = new System.CommandLine.Command("scoring", "Measure rows per second by row length, batched and one at a time.")
        {
            json, rounds, vocabulary, context, lengths, tokensPerRound,
        };
        command.SetAction(arguments =>
        {
            ScoringReport report = Run(
                arguments.GetValue(vocabulary),
                arguments.GetValue(context),
                arguments.GetValue(rounds),
                arguments.GetValue(tokensPerRound),
                arguments.GetRequiredValue(lengths));
            report.Write();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }

    internal static ScoringReport Run(int vocabularySize, int contextLength, int rounds, int tokensPerRound, IReadOnlyList<int> lengths)
    {
        using var benchmark = new ScoringBenchmark(vocabularySize, contextLength, rounds, tokensPerRound);
        using var products = new MatrixProductRates(benchmark.Config);
        List<MatrixRate> rates = [];
        IReadOnlyList<ScoringResult> rows = benchmark.Run(lengths, () => rates.Add(products.Measure()));
        MatrixRate rate = MatrixRate.Median(rates);
        return new ScoringReport
        {
            Machine = MachineFacts.Collect(),
            Precision = "fp32",
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Model = benchmark.Config.ToString(),
            Rounds = rounds,
            Rows = rows,
        };
    }
}

/// <summary>Scores the same rows batched, by the transformer's column, and one at a time, by a prediction engine, turn by turn.</summary>
internal sealed class ScoringBenchmark : IDisposable
{
    // .NET compiles a method for speed only once it has often run.
    private const int FirstWarmups = 5;

    private readonly MLContext _context = new(seed: 1);
    private readonly ScoringTexts _texts;
    private readonly LeapLanguageModelTransformer _model;
    private readonly PredictionEngine<Document, ScoringPrediction> _engine;
    private readonly int _rounds;
    private readonly int _tokensPerRound;

    /// <param name="vocabularySize">The most tokens that the tokenizer learns.</param>
    /// <param name="contextLength">The model's context; longer rows are read in windows.</param>
    /// <param name="rounds">Measurements of each length, after some that do not count.</param>
    /// <param name="tokensPerRound">Tokens of a measurement at most, unless they make less than 8 rows.</param>
    public ScoringBenchmark(int vocabularySize, int contextLength, int rounds, int tokensPerRound)
    {
        _rounds = rounds;
        _tokensPerRound = tokensPerRound;
        _texts = new ScoringTexts(vocabularySize);
        _model = Fit(_context, _texts, vocabularySize, contextLength);
        _engine = _context.Model.CreatePredictionEngine<Document, ScoringPrediction>(
            _model, new PredictionEngineOptions { OwnsTransformer = false });
    }

    /// <summary>Gets the model that scores.</summary>
    public LeapConfig Config => _model.Config;

    /// <summary>Measures the given row lengths in turn, calling <paramref name="between"/> before each round.</summary>
    public IReadOnlyList<ScoringResult> Run(IEnumerable<int> lengths, Action between) =>
        [.. lengths.Select((length, index) => Run(length, index == 0 ? FirstWarmups : 1, between))];

    public void Dispose()
    {
        _engine.Dispose();
        _model.Dispose();
    }

    private ScoringResult Run(int tokens, int warmups, Action between)
    {
        string[] rows = _texts.Rows(_model.Tokenizer, Math.Clamp(_tokensPerRound / tokens, 8, 512), tokens);
        List<double> batched = [];
        List<double> single = [];
        for (int round = -warmups; round < _rounds; round++)
        {
            between();
            (double batchedTime, float[] expected) = Time(() => ScoreBatched(rows));
            (double singleTime, float[] actual) = Time(() => ScoreSingly(rows));
            RequireAgreement(expected, actual);
            if (round < 0)
                continue;
            batched.Add(rows.Length / batchedTime);
            single.Add(rows.Length / singleTime);
        }

        return new ScoringResult(tokens, Statistics.Median(batched), Statistics.Median(single), Statistics.MedianRatio(batched, single));
    }

    private float[] ScoreBatched(string[] rows)
    {
        IDataView view = _context.Data.LoadFromEnumerable(rows.Select(text => new Document { Text = text }));
        return [.. _model.Transform(view).GetColumn<float>("LogLikelihood")];
    }

    private float[] ScoreSingly(string[] rows) => [.. rows.Select(text => _engine.Predict(new Document { Text = text }).LogLikelihood)];

    private static (double Seconds, float[] Values) Time(Func<float[]> score)
    {
        long start = Stopwatch.GetTimestamp();
        float[] values = score();
        return (Stopwatch.GetElapsedTime(start).TotalSeconds, values);
    }

    // A rate of wrong values is no rate.
    private static void RequireAgreement(float[] expected, float[] actual)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(Math.Abs(expected[i] - actual[i]) <= 1e-5 * Math.Abs(expected[i])))
                throw new InvalidOperationException($"Row {i} scores {expected[i]} in a batch, and {actual[i]} alone.");
        }
    }

    /// <summary>Makes a model of the benchmark's sizes: a tokenizer learned from made-up words, and a network that has taken one step.</summary>
    internal static LeapLanguageModelTransformer Fit(MLContext context, ScoringTexts texts, int vocabularySize, int contextLength)
    {
        IDataView corpus = context.Data.LoadFromEnumerable(texts.Corpus(vocabularySize / 2, 100).Select(text => new Document { Text = text }));
        return context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize),
            ContextLength = contextLength,
            UsePositionEmbeddings = true,
            ConvolutionSize = 0,
            UseForgetGates = false,
            HiddenSize = 128,
            FocusSize = 32,
            LayerCount = 6,
            MemoryMegabytes = 0,
            Optimizer = TrainingOptimizer.AdamW,
            ValidationFraction = 0,
            MaximumSteps = 1,
            BatchSize = 1,
            KeepBestModel = false,
            EvaluationInterval = TrainingInterval.Steps(1),
            Device = "cpu",
            Seed = 1,
        }).Fit(corpus);
    }
}

/// <summary>What a prediction engine of the scoring benchmark gives.</summary>
internal sealed class ScoringPrediction
{
    public float LogLikelihood { get; set; }
}

/// <summary>What the verb "scoring" measured.</summary>
internal sealed record ScoringReport
{
    public required MachineFacts Machine { get; init; }
    public required string Precision { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Model { get; init; }
    public required int Rounds { get; init; }
    public required IReadOnlyList<ScoringResult> Rows { get; init; }

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated(
            $"precision {Precision}; matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Model}; medians of {Rounds} rounds");
        Table table = new Table().AddColumns("tokens", "rows/s batched", "rows/s single", "ratio");
        foreach (ScoringResult row in Rows)
        {
            table.AddRow(
                row.Tokens.ToString(CultureInfo.InvariantCulture),
                row.RowsPerSecondBatched.ToString("N1", CultureInfo.InvariantCulture),
                row.RowsPerSecondSingle.ToString("N1", CultureInfo.InvariantCulture),
                row.Ratio.ToString("0.00", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
    }
}

/// <summary>The rates for rows of one length.</summary>
/// <param name="Tokens">Tokens of a row.</param>
/// <param name="RowsPerSecondBatched">Rows per second, read from the transformer's column.</param>
/// <param name="RowsPerSecondSingle">The same rows, each given to a prediction engine.</param>
/// <param name="Ratio">The median of the pairs' ratios.</param>
internal sealed record ScoringResult(int Tokens, double RowsPerSecondBatched, double RowsPerSecondSingle, double Ratio);
