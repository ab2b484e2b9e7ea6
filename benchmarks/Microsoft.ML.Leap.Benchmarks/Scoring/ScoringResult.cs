namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The rates for rows of one length.</summary>
/// <param name="Tokens">Tokens of a row.</param>
/// <param name="RowsPerSecondBatched">Rows a second, read from the transformer's column.</param>
/// <param name="RowsPerSecondSingle">The same rows, each given to a prediction engine.</param>
/// <param name="Ratio">The median of the pairs' ratios.</param>
internal sealed record ScoringResult(int Tokens, double RowsPerSecondBatched, double RowsPerSecondSingle, double Ratio);
