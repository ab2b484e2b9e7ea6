namespace Microsoft.ML.Leap.Tests;

/// <summary>A scored row, under the default column names.</summary>
internal sealed class ScoredRowView
{
    public string Text { get; set; } = "";

    public float Number { get; set; }

    public float LogLikelihood { get; set; }

    public int TokenCount { get; set; }

    public float Perplexity { get; set; }
}
