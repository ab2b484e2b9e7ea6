using System.Diagnostics;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Scores the same rows batched, by the transformer's column, and one at a time, by a prediction engine, turn by turn.</summary>
internal sealed class ScoringBenchmark : IDisposable
{
    // .NET compiles a method for speed only once it has often run.
    private const int FirstWarmups = 5;

    private readonly MLContext _context = new(seed: 1);
    private readonly ScoringTexts _texts;
    private readonly LeapLanguageModelTransformer _model;
    private readonly PredictionEngine<ScoringRow, ScoringPrediction> _engine;
    private readonly int _rounds;
    private readonly int _tokensARound;

    /// <param name="vocabularySize">The most tokens that the tokenizer learns.</param>
    /// <param name="contextLength">The model's context; longer rows are read in windows.</param>
    /// <param name="rounds">Measurements of each length, after some that do not count.</param>
    /// <param name="tokensARound">Tokens of a measurement at most, unless they make less than 8 rows.</param>
    public ScoringBenchmark(int vocabularySize, int contextLength, int rounds, int tokensARound)
    {
        _rounds = rounds;
        _tokensARound = tokensARound;
        _texts = new ScoringTexts(vocabularySize);
        _model = Fit(vocabularySize, contextLength);
        _engine = _context.Model.CreatePredictionEngine<ScoringRow, ScoringPrediction>(
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
        string[] rows = _texts.Rows(_model.Tokenizer, Math.Clamp(_tokensARound / tokens, 8, 512), tokens);
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
        IDataView view = _context.Data.LoadFromEnumerable(rows.Select(text => new ScoringRow { Text = text }));
        return [.. _model.Transform(view).GetColumn<float>("LogLikelihood")];
    }

    private float[] ScoreSingly(string[] rows) => [.. rows.Select(text => _engine.Predict(new ScoringRow { Text = text }).LogLikelihood)];

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

    private LeapLanguageModelTransformer Fit(int vocabularySize, int contextLength)
    {
        IDataView corpus = _context.Data.LoadFromEnumerable(_texts.Corpus(vocabularySize / 2, 100).Select(text => new ScoringRow { Text = text }));
        return _context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize),
            ContextLength = contextLength,
            UsePositionEmbeddings = true,
            LayerCount = 6,
            TargetSmoothing = 0,
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
