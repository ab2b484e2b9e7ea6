namespace Microsoft.ML.Leap;

/// <summary>The scores of the row that a cursor or a row mapper stands on; each is computed when first read, for some rows at a
/// time.</summary>
internal abstract class RowScores(TextEvaluator evaluator)
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
            return (_scores ??= evaluator.Score(Ids))[row];
        }
    }

    public float[] TokenLogLikelihoods
    {
        get
        {
            int row = MoveToRow();
            return (_likelihoods ??= evaluator.ScoreTokens(Ids))[row];
        }
    }

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
internal sealed class SingleRowScores(TextEvaluator evaluator, DataViewRow row, DataViewSchema.Column textColumn, Action warnOfEmptyText)
    : RowScores(evaluator)
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

/// <summary>Scores the rows of a cursor in chunks: a second cursor over the text column alone reads ahead, so that rows share a batch. Rows
/// belong to a chunk by their position, and a chunk is read when one of its values is.</summary>
internal sealed class LookaheadRowScores(
    TextEvaluator evaluator,
    DataViewRowCursor cursor,
    Func<DataViewRowCursor> openTextCursor,
    DataViewSchema.Column textColumn,
    Action warnOfEmptyText)
    : RowScores(evaluator), IDisposable
{
    private const int ChunkRows = 512;

    private DataViewRowCursor? _ahead;
    private ValueGetter<ReadOnlyMemory<char>>? _getText;
    private long _chunk = -1;

    public void Dispose() => _ahead?.Dispose();

    protected override int MoveToRow()
    {
        long position = cursor.Position;
        if (position < 0)
            throw new InvalidOperationException("A value was read before MoveNext, or after it returned false.");
        if (position / ChunkRows != _chunk)
            ReadChunk(position / ChunkRows);
        return (int)(position % ChunkRows);
    }

    private void ReadChunk(long chunk)
    {
        if (_ahead is null)
        {
            _ahead = openTextCursor();
            _getText = _ahead.GetGetter<ReadOnlyMemory<char>>(textColumn);
        }

        Clear();
        while (Ids.Count < ChunkRows && _ahead.MoveNext())
        {
            if (_ahead.Position / ChunkRows != chunk)
                continue;
            ReadOnlyMemory<char> text = default;
            _getText!(ref text);
            Add(text, warnOfEmptyText);
        }

        _chunk = chunk;
    }
}
