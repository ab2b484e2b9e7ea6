namespace WebApi;

/// <summary>What the pipeline adds to a row.</summary>
internal sealed class ScoredText
{
    public float LogLikelihood { get; set; }

    public int TokenCount { get; set; }

    public float Perplexity { get; set; }
}
