namespace Microsoft.ML.Leap;

/// <summary>Scores the rows of a cursor in chunks: a second cursor over the text column alone reads ahead, so that rows of like length
/// share a batch. Rows belong to a chunk by their position, and a chunk is read when one of its values is.</summary>
internal sealed class LookaheadRowScores(
    TextEvaluator evaluator,
    DataViewRowCursor cursor,
    Func<DataViewRowCursor> openTextCursor,
    DataViewSchema.Column textColumn,
    Action warnOfEmptyText)
    : IRowScores, IDisposable
{
    private const int ChunkRows = 512;

    // Rows whose texts are continued together; a divisor of a chunk. Fewer than are scored: a token takes far longer to make than to score.
    private const int GeneratedRows = 16;

    private readonly List<ReadOnlyMemory<char>> _texts = [];
    private readonly List<IReadOnlyList<int>> _ids = [];
    private DataViewRowCursor? _ahead;
    private ValueGetter<ReadOnlyMemory<char>>? _getText;
    private TextScore[]? _scores;
    private float[][]? _focus;
    private long _chunk = -1;
    private string[] _generated = [];
    private long _generatedPart = -1;

    public int TokenCount => _ids[MoveToRow()].Count;

    public TextScore Score
    {
        get
        {
            int row = MoveToRow();
            return (_scores ??= evaluator.Score(_ids))[row];
        }
    }

    public string GeneratedText
    {
        get
        {
            int row = MoveToRow();
            int first = row / GeneratedRows * GeneratedRows;
            long part = (cursor.Position - row + first) / GeneratedRows;
            if (part != _generatedPart)
            {
                int count = Math.Min(GeneratedRows, _ids.Count - first);
                _generated = evaluator.GenerateFor(_texts.GetRange(first, count), _ids.GetRange(first, count));
                _generatedPart = part;
            }

            return _generated[row - first];
        }
    }

    public IReadOnlyList<int> TokenIds => _ids[MoveToRow()];

    public float[] FocusWeights
    {
        get
        {
            int row = MoveToRow();
            return (_focus ??= evaluator.Focus(_ids))[row];
        }
    }

    public void Dispose() => _ahead?.Dispose();

    private int MoveToRow()
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

        _texts.Clear();
        _ids.Clear();
        _scores = null;
        _focus = null;
        while (_ids.Count < ChunkRows && _ahead.MoveNext())
        {
            if (_ahead.Position / ChunkRows != chunk)
                continue;
            ReadOnlyMemory<char> text = default;
            _getText!(ref text);
            IReadOnlyList<int> ids = evaluator.Encode(text);
            _texts.Add(text);
            _ids.Add(ids);
            if (ids.Count == 0)
                warnOfEmptyText();
        }

        _chunk = chunk;
    }
}
