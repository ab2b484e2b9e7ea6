namespace Microsoft.ML.Leap;

/// <summary>The scores of the row that a cursor or a row mapper stands on; each is computed when first read, for some rows at a
/// time.</summary>
/// <param name="evaluator">What computes them.</param>
/// <param name="scoresTokens">Whether <see cref="TokenLogLikelihoods"/> is read too: one pass gives both.</param>
internal abstract class RowScores(TextEvaluator evaluator, bool scoresTokens)
{
    private TextScore[]? _scores;
    private float[][]? _likelihoods;
    private float[][]? _focus;
    private float[][]? _embeddings;
    private string[]? _generated;
    private int _generatedFrom = -1;

    public int TokenCount => TokenIds.Count;

    public IReadOnlyList<int> TokenIds => Ids[MoveToRow()];

    public TextScore Score
    {
        get
        {
            int row = MoveToRow();
            return ScoreAll()[row];
        }
    }

    public float[] TokenLogLikelihoods
    {
        get
        {
            int row = MoveToRow();
            ScoreAll();
            return _likelihoods![row];
        }
    }

    /// <summary>Gets what the counted models make of the row; null where there are none.</summary>
    public BaselineScore? CountedScore => evaluator.ScoreByCounts(TokenIds);

    public float[] FocusWeights
    {
        get
        {
            int row = MoveToRow();
            return (_focus ??= evaluator.ScoreFocus(Ids))[row];
        }
    }

    public float[] Embedding
    {
        get
        {
            int row = MoveToRow();
            return (_embeddings ??= evaluator.Embed(Ids))[row];
        }
    }

    public string GeneratedText
    {
        get
        {
            // Fewer at a time than are scored: a token takes far longer to make than to score.
            const int generatedRows = 16;
            int row = MoveToRow();
            int first = row / generatedRows * generatedRows;
            if (_generated is null || first != _generatedFrom)
            {
                int count = Math.Min(generatedRows, Ids.Count - first);
                _generated = evaluator.Generate(Texts.GetRange(first, count), Ids.GetRange(first, count));
                _generatedFrom = first;
            }

            return _generated[row - first];
        }
    }

    /// <summary>Gets the texts of the rows at hand.</summary>
    protected List<ReadOnlyMemory<char>> Texts { get; } = [];

    /// <summary>Gets their token ids.</summary>
    protected List<IReadOnlyList<int>> Ids { get; } = [];

    /// <summary>Brings the current row to hand, and gives its place among the rows there.</summary>
    protected abstract int MoveToRow();

    protected void Clear()
    {
        Texts.Clear();
        Ids.Clear();
        _scores = null;
        _likelihoods = null;
        _focus = null;
        _embeddings = null;
        _generated = null;
    }

    private TextScore[] ScoreAll()
    {
        if (_scores is not null)
            return _scores;
        _likelihoods = scoresTokens ? [.. Ids.Select(ids => new float[ids.Count])] : null;
        return _scores = evaluator.Score(Ids, _likelihoods);
    }

    protected void Add(ReadOnlyMemory<char> text, Action warnOfEmptyText)
    {
        IReadOnlyList<int> ids = evaluator.Encode(text);
        Texts.Add(text);
        Ids.Add(ids);
        if (ids.Count == 0)
            warnOfEmptyText();
    }
}

/// <summary>Scores single rows, as a prediction engine asks for them.</summary>
internal sealed class SingleRowScores(
    TextEvaluator evaluator, bool scoresTokens, DataViewRow row, DataViewSchema.Column textColumn, Action warnOfEmptyText)
    : RowScores(evaluator, scoresTokens)
{
    private readonly ValueGetter<ReadOnlyMemory<char>> _getText = row.GetGetter<ReadOnlyMemory<char>>(textColumn);
    private long _position = -1;

    protected override int MoveToRow()
    {
        if (row.Position == _position)
            return 0;
        ReadOnlyMemory<char> text = default;
        _getText(ref text);
        Clear();
        Add(text, warnOfEmptyText);
        _position = row.Position;
        return 0;
    }
}

/// <summary>Scores the rows that are at hand together, when one of their values is read.</summary>
internal sealed class BufferedRowScores(
    TextEvaluator evaluator, bool scoresTokens, BufferedRows rows, DataViewSchema.Column textColumn, Action warnOfEmptyText)
    : RowScores(evaluator, scoresTokens)
{
    private int _chunk;

    protected override int MoveToRow()
    {
        int row = rows.Row;
        if (rows.Chunk == _chunk)
            return row;
        Clear();
        foreach (ReadOnlyMemory<char> text in rows.GetValues<ReadOnlyMemory<char>>(textColumn))
            Add(text, warnOfEmptyText);
        _chunk = rows.Chunk;
        return row;
    }
}

/// <summary>What the columns of a transformer are computed by: one model and its settings. Thread-safe.</summary>
internal sealed class TextEvaluator
{
    private readonly LeapLanguageModel _model;
    private readonly ScoringSettings _settings;
    private readonly TextScorer _scorer;

    /// <param name="model">The model.</param>
    /// <param name="settings">How to compute.</param>
    /// <param name="computeLosses">The network: the engine, or torch on a GPU.</param>
    public TextEvaluator(LeapLanguageModel model, ScoringSettings settings, ComputeLosses computeLosses)
    {
        _model = model;
        _settings = settings;
        _scorer = new TextScorer(computeLosses, model.Memory, model.Network.Workers, ReadingPlan.Of(model.Config), model.Tokenizer.EndOfTextId);
    }

    public IReadOnlyList<int> Encode(ReadOnlyMemory<char> text)
    {
        List<int> ids = [];
        _model.Tokenizer.Encode(text.Span, ids);
        return ids;
    }

    /// <summary>Gives what the counted models make of a text; <see langword="null"/> where there are none.</summary>
    public BaselineScore? ScoreByCounts(IReadOnlyList<int> ids) => _model.Counts?.Score(ids, _model.Tokenizer.EndOfTextId);

    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows, float[][]? tokens = null) => _scorer.Score(rows, tokens);

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
