namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a prediction engine of the scoring benchmark reads.</summary>
internal sealed class ScoringRow
{
    public string Text { get; set; } = "";
}
