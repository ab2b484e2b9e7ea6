namespace Microsoft.ML.Leap;

/// <summary>What a row of text scores: the log-likelihood of its tokens in nats, NaN when it has none.</summary>
internal readonly record struct TextScore(double LogLikelihood, int TokenCount)
{
    public static readonly TextScore Missing = new(double.NaN, 0);

    public double Perplexity => Math.Exp(-LogLikelihood / TokenCount);
}
