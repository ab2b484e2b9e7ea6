using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>One row with the scored columns added.</summary>
internal sealed class ScoredRow(DataViewSchema schema, DataViewRow input, bool[] active, ScoredColumns columns, IRowScores? scores)
    : DataViewRow
{
    public override DataViewSchema Schema => schema;

    public override long Position => input.Position;

    public override long Batch => input.Batch;

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => active[column.Index];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw new InvalidOperationException($"Column '{column.Name}' was not asked for when the row was made.");
        int added = column.Index - input.Schema.Count;
        return added < 0 ? input.GetGetter<TValue>(input.Schema[column.Index]) : columns.GetGetter<TValue>(added, scores!);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
        base.Dispose(disposing);
    }
}
