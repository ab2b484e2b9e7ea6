using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>The columns that a transformer adds: their names, types and getters, in order.</summary>
internal sealed class ScoredColumns
{
    private readonly ScoredColumn[] _columns;

    /// <param name="settings">The names; those that are null have no column.</param>
    /// <param name="tokenText">Gives the text of a token; null where nothing is to be read, but the schema asked for.</param>
    public ScoredColumns(ScoringSettings settings, Func<int, string>? tokenText = null)
    {
        List<ScoredColumn> columns =
        [
            new(settings.LogLikelihoodColumnName, NumberDataViewType.Single, Getter<float>((scores) => (float)scores.Score.LogLikelihood)),
            new(settings.TokenCountColumnName, NumberDataViewType.Int32, Getter<int>((scores) => scores.TokenCount)),
            new(settings.PerplexityColumnName, NumberDataViewType.Single, Getter<float>((scores) => (float)scores.Score.Perplexity)),
        ];
        if (settings.GeneratedTextColumnName is string generated)
            columns.Add(new(generated, TextDataViewType.Instance, Getter<ReadOnlyMemory<char>>((scores) => scores.GeneratedText.AsMemory())));
        if (settings.TokensColumnName is string tokens)
            columns.Add(Vector(tokens, TextDataViewType.Instance, scores => scores.TokenIds.Select(id => tokenText!(id).AsMemory())));
        if (settings.FocusWeightsColumnName is string focus)
            columns.Add(Vector(focus, NumberDataViewType.Single, scores => scores.FocusWeights));
        _columns = [.. columns];
    }

    public int Count => _columns.Length;

    public IEnumerable<(string Name, DataViewType Type)> NamesAndTypes => _columns.Select(column => (column.Name, column.Type));

    public DataViewSchema AppendTo(DataViewSchema input)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        foreach (ScoredColumn column in _columns)
            builder.AddColumn(column.Name, column.Type);
        return builder.ToSchema();
    }

    public ValueGetter<TValue> GetGetter<TValue>(int index, IRowScores scores)
    {
        if (_columns[index].MakeGetter(scores) is ValueGetter<TValue> getter)
            return getter;
        throw new InvalidOperationException(
            $"Column '{_columns[index].Name}' holds {_columns[index].Type}, but a getter of {typeof(TValue).Name} was asked for.");
    }

    private static ScoredColumn Vector<TItem>(string name, PrimitiveDataViewType itemType, Func<IRowScores, IEnumerable<TItem>> read) =>
        new(name, new VectorDataViewType(itemType), scores => (ValueGetter<VBuffer<TItem>>)((ref VBuffer<TItem> value) =>
        {
            TItem[] items = [.. read(scores)];
            value = new VBuffer<TItem>(items.Length, items);
        }));

    private static Func<IRowScores, Delegate> Getter<TValue>(Func<IRowScores, TValue> read) =>
        scores => (ValueGetter<TValue>)((ref TValue value) => value = read(scores));

    private sealed record ScoredColumn(string Name, DataViewType Type, Func<IRowScores, Delegate> MakeGetter);
}
