namespace Microsoft.ML.Leap;

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
    public required int TokensPerBatch { get; init; }
    public required GenerationOptions Generation { get; init; }

    /// <summary>Stands in where <see cref="GenerationOptions.Seed"/> is null, so that a column's values repeat.</summary>
    public required int GenerationSeed { get; init; }

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
}
