using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>A data view with scored columns added; nothing is computed until a cursor reads one of them.</summary>
internal sealed class ScoredDataView(
    IDataView source, TextEvaluator evaluator, ScoredColumns columns, string textColumnName, Action warnOfEmptyText)
    : IDataView
{
    public DataViewSchema Schema { get; } = columns.AppendTo(source.Schema);

    /// <summary>Gets the column that the model reads, also where an added one of the same name hides it.</summary>
    public DataViewSchema.Column TextColumn => Schema[source.Schema[textColumnName].Index];

    public bool CanShuffle => source.CanShuffle;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;

        DataViewSchema.Column textColumn = source.Schema[textColumnName];
        bool isScored = active.AsSpan(source.Schema.Count).Contains(true);
        DataViewSchema.Column[] needed = [.. source.Schema.Where(column => active[column.Index] || (isScored && column.Index == textColumn.Index))];
        var rows = new BufferedRows(source.GetRowCursor(needed, rand), needed);
        var scores = new BufferedRowScores(evaluator, columns.ReadsTokenScores(active), rows, textColumn, warnOfEmptyText);
        return new ScoredRowCursor(Schema, rows, active, columns, scores);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>Walks the rows of a scored view: the input's own columns come from the buffered rows, the added ones from their scores.</summary>
internal sealed class ScoredRowCursor(
    DataViewSchema schema, BufferedRows rows, bool[] active, ScoredColumns columns, BufferedRowScores scores)
    : DataViewRowCursor
{
    public override DataViewSchema Schema => schema;

    public override long Position => rows.Position;

    public override long Batch => rows.Batch;

    /// <summary>Gets what the counted models make of the row's text; null where there are none.</summary>
    public BaselineScore? CountedScore => scores.CountedScore;

    public override bool MoveNext() => rows.MoveNext();

    public override ValueGetter<DataViewRowId> GetIdGetter() => rows.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => active[Checked(column).Index];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw new InvalidOperationException($"Column '{column.Name}' was not asked for when the cursor was opened.");
        int added = column.Index - (schema.Count - columns.Count);
        return added < 0 ? rows.GetGetter<TValue>(column) : columns.GetGetter<TValue>(added, scores);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            rows.Dispose();
        base.Dispose(disposing);
    }

    private DataViewSchema.Column Checked(DataViewSchema.Column column)
    {
        if (column.Index >= schema.Count || schema[column.Index].Name != column.Name)
            throw new ArgumentException($"Column '{column.Name}' is not part of this view.", nameof(column));
        return column;
    }
}

/// <summary>Adds the scored columns to single rows, as prediction engines need it.</summary>
internal sealed class ScoringRowMapper(
    DataViewSchema inputSchema, TextEvaluator evaluator, ScoredColumns columns, string textColumnName, Action warnOfEmptyText)
    : IRowToRowMapper
{
    public DataViewSchema InputSchema => inputSchema;

    public DataViewSchema OutputSchema { get; } = columns.AppendTo(inputSchema);

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        bool[] needed = new bool[inputSchema.Count];
        foreach (DataViewSchema.Column column in dependingColumns)
            needed[column.Index < inputSchema.Count ? column.Index : inputSchema[textColumnName].Index] = true;
        return inputSchema.Where(column => needed[column.Index]);
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(activeColumns);
        if (input.Schema != inputSchema)
            throw new ArgumentException("The row's schema is not the schema that this mapper was made for.", nameof(input));

        bool[] active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
            active[column.Index] = true;
        bool isScored = active.AsSpan(inputSchema.Count).Contains(true);
        SingleRowScores? scores = isScored ? new SingleRowScores(evaluator, columns.ReadsTokenScores(active), input, inputSchema[textColumnName], warnOfEmptyText) : null;
        return new ScoredRow(OutputSchema, input, active, columns, scores);
    }
}

/// <summary>One row with the scored columns added.</summary>
internal sealed class ScoredRow(DataViewSchema schema, DataViewRow input, bool[] active, ScoredColumns columns, RowScores? scores)
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
