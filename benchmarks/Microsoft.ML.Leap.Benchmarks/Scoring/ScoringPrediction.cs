namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a prediction engine of the scoring benchmark gives.</summary>
internal sealed class ScoringPrediction
{
    public float LogLikelihood { get; set; }
}
