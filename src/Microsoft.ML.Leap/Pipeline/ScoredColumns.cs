using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>The columns that a transformer adds: their names, types and getters, in order.</summary>
internal sealed class ScoredColumns
{
    private readonly ScoredColumn[] _columns;
    private readonly string? _tokenScores;

    /// <param name="settings">The names; those that are null have no column.</param>
    /// <param name="hiddenSize">The network's width.</param>
    /// <param name="tokenText">Gives the text of a token; null where nothing is to be read, but the schema asked for.</param>
    public ScoredColumns(ScoringSettings settings, int hiddenSize, Func<int, string>? tokenText = null)
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
        if (settings.TokenLogLikelihoodsColumnName is string likelihoods)
            columns.Add(Vector(likelihoods, NumberDataViewType.Single, scores => scores.TokenLogLikelihoods));
        if (settings.EmbeddingColumnName is string embedding)
            columns.Add(Vector(embedding, NumberDataViewType.Single, scores => scores.Embedding, hiddenSize));
        _columns = [.. columns];
        _tokenScores = settings.TokenLogLikelihoodsColumnName;
    }

    public int Count => _columns.Length;

    public IEnumerable<(string Name, DataViewType Type)> NamesAndTypes => _columns.Select(column => (column.Name, column.Type));

    /// <summary>Tells whether the tokens' log-likelihoods are among the columns that are read.</summary>
    /// <param name="active">For each column of the output, whether it is.</param>
    public bool ReadsTokenScores(ReadOnlySpan<bool> active)
    {
        int index = Array.FindIndex(_columns, column => column.Name == _tokenScores);
        return index >= 0 && active[active.Length - _columns.Length + index];
    }

    public DataViewSchema AppendTo(DataViewSchema input)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        foreach (ScoredColumn column in _columns)
            builder.AddColumn(column.Name, column.Type);
        return builder.ToSchema();
    }

    public ValueGetter<TValue> GetGetter<TValue>(int index, RowScores scores)
    {
        if (_columns[index].MakeGetter(scores) is ValueGetter<TValue> getter)
            return getter;
        throw new InvalidOperationException(
            $"Column '{_columns[index].Name}' holds {_columns[index].Type}, but a getter of {typeof(TValue).Name} was asked for.");
    }

    private static ScoredColumn Vector<TItem>(string name, PrimitiveDataViewType itemType, Func<RowScores, IEnumerable<TItem>> read, int size = 0) =>
        new(name, new VectorDataViewType(itemType, size), scores => (ValueGetter<VBuffer<TItem>>)((ref VBuffer<TItem> value) =>
        {
            TItem[] items = [.. read(scores)];
            value = new VBuffer<TItem>(items.Length, items);
        }));

    private static Func<RowScores, Delegate> Getter<TValue>(Func<RowScores, TValue> read) =>
        scores => (ValueGetter<TValue>)((ref TValue value) => value = read(scores));

    private sealed record ScoredColumn(string Name, DataViewType Type, Func<RowScores, Delegate> MakeGetter);
}

/// <summary>Which column is scored into which columns, and how. Saved with the model.</summary>
internal sealed record ScoringSettings
{
    public required string TextColumnName { get; init; }
    public required string LogLikelihoodColumnName { get; init; }
    public required string TokenCountColumnName { get; init; }
    public required string PerplexityColumnName { get; init; }
    public string? GeneratedTextColumnName { get; init; }
    public string? TokensColumnName { get; init; }
    public string? FocusWeightsColumnName { get; init; }
    public string? TokenLogLikelihoodsColumnName { get; init; }
    public string? EmbeddingColumnName { get; init; }
    public EmbeddingPooling Embedding { get; init; }
    public required int TokensPerBatch { get; init; }
    public required GenerationOptions Generation { get; init; }

    /// <summary>Stands in where <see cref="GenerationOptions.Seed"/> is null, so that a column's values repeat.</summary>
    public required int GenerationSeed { get; init; }

    /// <summary>Refuses settings that no data view could have.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">A name is empty, or two columns share one.</exception>
    public void RequireValid()
    {
        RequireName(TextColumnName, nameof(TextColumnName));
        (string? Name, string Field)[] added =
        [
            (LogLikelihoodColumnName, nameof(LogLikelihoodColumnName)), (TokenCountColumnName, nameof(TokenCountColumnName)),
            (PerplexityColumnName, nameof(PerplexityColumnName)), (GeneratedTextColumnName, nameof(GeneratedTextColumnName)),
            (TokensColumnName, nameof(TokensColumnName)), (FocusWeightsColumnName, nameof(FocusWeightsColumnName)),
            (TokenLogLikelihoodsColumnName, nameof(TokenLogLikelihoodsColumnName)), (EmbeddingColumnName, nameof(EmbeddingColumnName)),
        ];
        const int AlwaysThere = 3;
        for (int i = 0; i < added.Length; i++)
        {
            if (i < AlwaysThere || added[i].Name is not null)
                RequireName(added[i].Name, added[i].Field);
        }

        foreach (IGrouping<string, string> name in added.Select(column => column.Name).OfType<string>().GroupBy(name => name).Where(group => group.Count() > 1))
            throw new ArgumentException($"Two added columns share the name '{name.Key}'; each needs its own.", nameof(LogLikelihoodColumnName));
        if (!Enum.IsDefined(Embedding))
            throw new ArgumentOutOfRangeException(nameof(Embedding), Embedding, "Embedding must be a value of EmbeddingPooling.");
        if (TokensPerBatch < 1)
            throw new ArgumentOutOfRangeException(nameof(TokensPerBatch), TokensPerBatch, "TokensPerBatch must be at least 1.");
    }

    /// <summary>Refuses columns that a network cannot fill.</summary>
    /// <exception cref="ArgumentException">The network reads too little at once.</exception>
    public void RequireFits(LeapConfig config)
    {
        if (FocusWeightsColumnName is not null && config.ContextLength < 2)
        {
            throw new ArgumentException(
                $"{nameof(FocusWeightsColumnName)} needs a ContextLength of at least 2, but it is {config.ContextLength}.",
                nameof(config));
        }
    }

    private static void RequireName(string? name, string field)
    {
        if (string.IsNullOrWhiteSpace(name))
            throw new ArgumentException($"{field} must be the name of a column, but it is empty.", field);
    }
}

/// <summary>Checks that a schema has the text column, a scalar of type Text.</summary>
internal static class TextColumn
{
    public static void Check(DataViewSchema schema, string name, string parameter)
    {
        DataViewSchema.Column column = schema.GetColumnOrNull(name) ?? throw Missing(name, schema.Select(column => column.Name), parameter);
        if (column.Type is not TextDataViewType)
            throw NotText(name, column.Type.ToString()!, parameter);
    }

    public static void Check(SchemaShape shape, string name, string parameter)
    {
        SchemaShape.Column[] found = [.. shape.Where(column => column.Name == name)];
        if (found.Length == 0)
            throw Missing(name, shape.Select(column => column.Name), parameter);
        if (found[^1].Kind != SchemaShape.Column.VectorKind.Scalar || found[^1].ItemType is not TextDataViewType)
            throw NotText(name, $"{found[^1].Kind} of {found[^1].ItemType}", parameter);
    }

    private static ArgumentOutOfRangeException Missing(string name, IEnumerable<string> columns, string parameter) =>
        new(parameter, name, $"There is no text column '{name}'; the data have {string.Join(", ", columns.Distinct().Select(column => $"'{column}'"))}.");

    private static ArgumentOutOfRangeException NotText(string name, string type, string parameter) =>
        new(parameter, type, $"Column '{name}' must hold a text (a scalar of type Text), but it holds {type}.");
}
