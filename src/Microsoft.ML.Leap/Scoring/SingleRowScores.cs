namespace Microsoft.ML.Leap;

/// <summary>Scores the row that a row mapper stands on, one at a time, as a prediction engine asks for it.</summary>
internal sealed class SingleRowScores(TextEvaluator evaluator, DataViewRow row, DataViewSchema.Column textColumn, Action warnOfEmptyText)
    : IRowScores
{
    private readonly ValueGetter<ReadOnlyMemory<char>> _getText = row.GetGetter<ReadOnlyMemory<char>>(textColumn);
    private long _position = -1;
    private ReadOnlyMemory<char> _text;
    private IReadOnlyList<int> _ids = [];
    private TextScore? _score;
    private float[]? _focus;

    public int TokenCount
    {
        get
        {
            Move();
            return _ids.Count;
        }
    }

    public TextScore Score
    {
        get
        {
            Move();
            return _score ??= evaluator.Score([_ids])[0];
        }
    }

    public string GeneratedText
    {
        get
        {
            Move();
            return evaluator.GenerateFor([_text], [_ids])[0];
        }
    }

    public IReadOnlyList<int> TokenIds
    {
        get
        {
            Move();
            return _ids;
        }
    }

    public float[] FocusWeights
    {
        get
        {
            Move();
            return _focus ??= evaluator.Focus([_ids])[0];
        }
    }

    private void Move()
    {
        if (row.Position == _position)
            return;
        _getText(ref _text);
        _ids = evaluator.Encode(_text);
        _score = null;
        _focus = null;
        _position = row.Position;
        if (_ids.Count == 0)
            warnOfEmptyText();
    }
}
