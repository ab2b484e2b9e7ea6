namespace Microsoft.ML.Leap;

/// <summary>Which column is scored into which columns, and how. Saved with the model.</summary>
internal sealed record ScoringSettings
{
    public required string TextColumnName { get; init; }
    public required string LogLikelihoodColumnName { get; init; }
    public required string TokenCountColumnName { get; init; }
    public required string PerplexityColumnName { get; init; }
    public string? GeneratedTextColumnName { get; init; }
    public required int TokensPerBatch { get; init; }
    public required GenerationOptions Generation { get; init; }

    /// <summary>Stands in where <see cref="GenerationOptions.Seed"/> is null, so that a column's values repeat.</summary>
    public required int GenerationSeed { get; init; }
}
