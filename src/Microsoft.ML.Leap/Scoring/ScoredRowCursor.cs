using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

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
