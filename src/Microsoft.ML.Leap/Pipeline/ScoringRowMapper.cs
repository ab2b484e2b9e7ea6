using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

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
        SingleRowScores? scores = isScored ? new SingleRowScores(evaluator, input, inputSchema[textColumnName], warnOfEmptyText) : null;
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
