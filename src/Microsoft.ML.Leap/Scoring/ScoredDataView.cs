namespace Microsoft.ML.Leap;

/// <summary>A data view with scored columns added; nothing is computed until a cursor reads one of them.</summary>
internal sealed class ScoredDataView(
    IDataView source, TextEvaluator evaluator, ScoredColumns columns, string textColumnName, Action warnOfEmptyText)
    : IDataView
{
    public DataViewSchema Schema { get; } = columns.AppendTo(source.Schema);

    /// <summary>Gives what scores a text by the counts of the model's training texts; null where <paramref name="column"/> is not the
    /// column that the model reads.</summary>
    public Func<ReadOnlyMemory<char>, BaselineScore?>? ScoreByCounts(string? column) => column == textColumnName ? evaluator.ScoreByCounts : null;

    public bool CanShuffle => source.CanShuffle;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;

        // The cursor that reads ahead must see the rows in the same shuffled order.
        int? seed = rand?.Next();
        Random? Shuffle() => seed is int value ? new Random(value) : null;

        DataViewSchema.Column textColumn = source.Schema[textColumnName];
        DataViewRowCursor input = source.GetRowCursor(source.Schema.Where(column => active[column.Index]), Shuffle());
        var scores = new LookaheadRowScores(
            evaluator, input, () => source.GetRowCursor([textColumn], Shuffle()), textColumn, warnOfEmptyText);
        return new ScoredRowCursor(Schema, input, active, columns, scores);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}
