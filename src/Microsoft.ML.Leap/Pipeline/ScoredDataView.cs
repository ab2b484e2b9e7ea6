using Microsoft.ML.Data;

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

/// <summary>Walks the rows of a scored view: the input's own columns come from the input cursor, the added ones from the scores.</summary>
internal sealed class ScoredRowCursor(
    DataViewSchema schema, DataViewRowCursor input, bool[] active, ScoredColumns columns, LookaheadRowScores scores)
    : DataViewRowCursor
{
    public override DataViewSchema Schema => schema;

    public override long Position => input.Position;

    public override long Batch => input.Batch;

    public override bool MoveNext() => input.MoveNext();

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => active[Checked(column).Index];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw new InvalidOperationException($"Column '{column.Name}' was not asked for when the cursor was opened.");
        int added = column.Index - input.Schema.Count;
        return added < 0 ? input.GetGetter<TValue>(input.Schema[column.Index]) : columns.GetGetter<TValue>(added, scores);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            scores.Dispose();
            input.Dispose();
        }

        base.Dispose(disposing);
    }

    private DataViewSchema.Column Checked(DataViewSchema.Column column)
    {
        if (column.Index >= schema.Count || schema[column.Index].Name != column.Name)
            throw new ArgumentException($"Column '{column.Name}' is not part of this view.", nameof(column));
        return column;
    }
}
