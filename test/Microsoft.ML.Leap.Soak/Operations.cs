using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Leap.Soak;

/// <summary>Every public operation of a model, each as a text of all that it gave: the same number asks for the same work.</summary>
internal sealed class Operations : IDisposable
{
    private static readonly string[] Words = ["the", "cat", "sat", "on", "a", "mat", "naïve", "☕", "שלום", "running", "quickly", "12345", "\n"];

    private readonly MLContext _context = new(1);
    private readonly LeapLanguageModelTransformer _transformer;
    private readonly LeapLanguageModel _model;
    private readonly string _folder = Directory.CreateTempSubdirectory("leap-soak-").FullName;

    public Operations()
    {
        _transformer = Train(1);
        _model = _transformer.Model;
        _transformer.SavePretrained(Path.Combine(_folder, "model"));
        All =
        [
            ("score", n => Show(_model.Score(Text(n)))),
            ("score all", n => string.Join(' ', _model.ScoreAll(Texts(n)).Select(Show))),
            ("score along", n => string.Join(' ', _model.ScoreAll(Texts(n), _model.CreateRunningMemory()).Select(Show))),
            ("score tokens", n => Show(_model.ScoreTokens(Text(n)))),
            ("embed", n => Show(_model.Embed(Text(n)))),
            ("explain", n => _model.Explain(Text(n), Text(n + 1)).ToJson()),
            ("evaluate", n => Show(_model.Evaluate(Texts(n), EvaluationOptions.RollingDocuments).Perplexity)),
            ("complete", n => _model.Complete(Text(n), Sampling(n)).Text),
            ("complete all", n => string.Join('|', _model.CompleteAll([.. Texts(n).Select(text => new GenerationRequest(text, Sampling(n)))]).Select(completion => completion.Text))),
            ("stream", n => StreamAsync(n).GetAwaiter().GetResult()),
            ("state", ContinueFromCopy),
            ("tokenizer", n => _model.Tokenizer.Decode(_model.Tokenizer.Encode(Text(n)))),
            ("transform", n => ReadView(_transformer, Texts(n))),
            ("predict", Predict),
            ("save and load", SaveAndLoad),
            ("train", n => Retrain(n % 4)),
            ("dispose", DisposeInFlight),
        ];
    }

    public IReadOnlyList<(string Name, Func<int, string> Run)> All { get; }

    public void Dispose()
    {
        _transformer.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A short form of a result, to compare and to keep.</summary>
    public static string Digest(string result) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(result)))[..16];

    private LeapLanguageModelTransformer Train(int seed) => _context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
    {
        HiddenSize = 16,
        LayerCount = 2,
        HeadCount = 2,
        ContextLength = 512,
        Epochs = 2,
        Seed = seed,
        Device = "cpu",
        GeneratedTextColumnName = "Continuation",
        TokensColumnName = "Tokens",
        FocusWeightsColumnName = "Focus",
        EmbeddingColumnName = "Embedding",
        Generation = new GenerationOptions { MaximumNewTokens = 8, Seed = 3 },
    }).Fit(View(Enumerable.Range(0, 60).Select(Text)));

    private string Retrain(int seed)
    {
        using LeapLanguageModelTransformer model = Train(seed);
        return Show(model.Model.Score("the cat sat on a mat"));
    }

    private async Task<string> StreamAsync(int n)
    {
        var text = new StringBuilder();
        await foreach (string piece in _model.GenerateTextAsync(Text(n), Sampling(n)))
            text.Append(piece);
        return text.ToString();
    }

    private string ContinueFromCopy(int n)
    {
        using GenerationState state = _model.CreateGenerationState(Text(n), PositionPolicy.Clamp);
        using var saved = new MemoryStream();
        state.Save(saved);
        saved.Position = 0;
        using GenerationState loaded = _model.LoadGenerationState(saved);
        using GenerationState clone = loaded.Clone();
        state.Dispose();
        return _model.Continue(clone, Sampling(n)).Text;
    }

    private string Predict(int n)
    {
        using PredictionEngine<TextRow, ScoredRow> engine =
            _context.Model.CreatePredictionEngine<TextRow, ScoredRow>(_transformer, new PredictionEngineOptions { OwnsTransformer = false });
        ScoredRow row = engine.Predict(new TextRow { Text = Text(n) });
        return $"{Show(row.Perplexity)} {row.Continuation} {Show(row.Embedding)}";
    }

    private string SaveAndLoad(int n)
    {
        string path = Path.Combine(_folder, $"{Guid.NewGuid():N}.zip");
        _context.Leap().Save(_transformer, null, path);
        using LeapLanguageModel model = LeapLanguageModel.Load(path);
        File.Delete(path);
        return Show(model.Score(Text(n)));
    }

    // Another thread disposes the model somewhere within: it finishes what it does, or says that it is disposed.
    private string DisposeInFlight(int n)
    {
        LeapLanguageModel model = LeapLanguageModel.Load(Path.Combine(_folder, "model"));
        string expected = Show(model.Score(Text(n)));
        Task disposal = Task.Run(() =>
        {
            Thread.SpinWait(n % 7 * 3000);
            model.Dispose();
        });
        try
        {
            for (int i = 0; i < 20; i++)
            {
                if (Show(model.Score(Text(n))) != expected)
                    return "a model that is being disposed gives another score";
                model.Explain(Text(n));
                model.Complete(Text(n), Sampling(n));
            }
        }
        catch (ObjectDisposedException)
        {
        }

        disposal.Wait();
        try
        {
            model.Score(Text(n));
            return "a disposed model scores";
        }
        catch (ObjectDisposedException)
        {
            return expected;
        }
    }

    private string ReadView(ITransformer model, IEnumerable<string> texts)
    {
        IEnumerable<ScoredRow> rows = _context.Data.CreateEnumerable<ScoredRow>(model.Transform(View(texts)), reuseRowObject: false);
        return string.Join('|', rows.Select(row => $"{Show(row.Perplexity)} {row.Continuation} {Show(row.Embedding)}"));
    }

    private IDataView View(IEnumerable<string> texts) => _context.Data.LoadFromEnumerable(texts.Select(text => new TextRow { Text = text }).ToArray());

    private static GenerationOptions Sampling(int n) => new() { MaximumNewTokens = 6 + n % 5, Seed = n, Temperature = 0.9f, TopK = 20 };

    private static string Text(int n)
    {
        var random = new Random(n);
        return string.Join(' ', Enumerable.Range(0, 1 + random.Next(12)).Select(_ => Words[random.Next(Words.Length)]));
    }

    private static IEnumerable<string> Texts(int n) => Enumerable.Range(n, 1 + n % 9).Select(Text);

    private static string Show(TextScore score) => string.Create(CultureInfo.InvariantCulture, $"{score.LogLikelihood:R}/{score.TokenCount}");

    private static string Show(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Show(IEnumerable<float> values) => string.Join(' ', values.Select(value => value.ToString("R", CultureInfo.InvariantCulture)));

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }

    private sealed class ScoredRow
    {
        public float Perplexity { get; set; }

        public string Continuation { get; set; } = "";

        public float[] Embedding { get; set; } = [];
    }
}
