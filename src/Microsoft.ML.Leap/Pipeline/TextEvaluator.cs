namespace Microsoft.ML.Leap;

/// <summary>What the columns of a transformer are computed by: one model and its settings. Thread-safe.</summary>
internal sealed class TextEvaluator
{
    private readonly LeapLanguageModel _model;
    private readonly ScoringSettings _settings;
    private readonly TextScorer _scorer;

    /// <param name="model">The model.</param>
    /// <param name="settings">How to compute.</param>
    /// <param name="predict">The network: the engine, or torch on a GPU.</param>
    public TextEvaluator(LeapLanguageModel model, ScoringSettings settings, ComputePredictions predict)
    {
        _model = model;
        _settings = settings;
        _scorer = new TextScorer(predict, model.Memory, model.Config.ContextLength, model.Tokenizer.EndOfTextId);
    }

    public IReadOnlyList<int> Encode(ReadOnlyMemory<char> text)
    {
        List<int> ids = [];
        _model.Tokenizer.Encode(text.Span, ids);
        return ids;
    }

    /// <summary>Gives what the counted models make of a text; <see langword="null"/> where there are none.</summary>
    public BaselineScore? ScoreByCounts(ReadOnlyMemory<char> text) => _model.Counts?.Score(Encode(text), _model.Tokenizer.EndOfTextId);

    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows) => _scorer.Score(rows);

    public float[][] ScoreTokens(IReadOnlyList<IReadOnlyList<int>> rows) => _scorer.ScoreTokens(rows);

    public float[][] ScoreFocus(IReadOnlyList<IReadOnlyList<int>> rows) =>
        FocusReader.ScoreTokens(_model.Network, rows, _model.Tokenizer.EndOfTextId);

    public float[][] Embed(IReadOnlyList<IReadOnlyList<int>> rows) =>
        TextEmbedder.Embed(_model.Network, rows, _model.Tokenizer.EndOfTextId, new EmbeddingOptions { Pooling = _settings.Embedding });

    /// <summary>Continues rows' texts; an empty one gets none. A seed depends on its text alone, so that the value is the same in whatever row,
    /// batch or cursor it is computed.</summary>
    public string[] Generate(IReadOnlyList<ReadOnlyMemory<char>> texts, IReadOnlyList<IReadOnlyList<int>> ids)
    {
        GenerationOptions options = _settings.Generation;
        int[] rows = [.. Enumerable.Range(0, texts.Count).Where(row => ids[row].Count > 0)];
        GenerationResult[] results = _model.Generator.Complete([.. rows.Select(row => (ids[row], options, Seed(texts[row])))], CancellationToken.None);
        string[] generated = new string[texts.Count];
        Array.Fill(generated, string.Empty);
        for (int i = 0; i < rows.Length; i++)
            generated[rows[i]] = results[i].Text;
        return generated;
    }

    private int Seed(ReadOnlyMemory<char> text) => (_settings.Generation.Seed ?? _settings.GenerationSeed) ^ StableHash(text.Span);

    // string.GetHashCode differs from process to process; this is 32-bit FNV-1a over UTF-16 units.
    private static int StableHash(ReadOnlySpan<char> text)
    {
        uint hash = 2166136261;
        foreach (char unit in text)
            hash = (hash ^ unit) * 16777619;
        return (int)hash;
    }
}
