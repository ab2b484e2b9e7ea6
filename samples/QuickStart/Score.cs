namespace QuickStart;

/// <summary>A scored row.</summary>
internal sealed class Score
{
    public float LogLikelihood { get; set; }
}
