namespace WebApi;

/// <summary>A text's score.</summary>
/// <param name="LogLikelihood">Sum of ln p(token) over its tokens, in nats; left out where there are none.</param>
/// <param name="TokenCount">Number of its tokens.</param>
/// <param name="Perplexity">exp(-<paramref name="LogLikelihood"/> / <paramref name="TokenCount"/>); left out without tokens.</param>
internal sealed record TextScore(float? LogLikelihood, int TokenCount, float? Perplexity)
{
    // JSON has no NaN and no infinity.
    public static TextScore Of(ScoredText row) => new(Finite(row.LogLikelihood), row.TokenCount, Finite(row.Perplexity));

    private static float? Finite(float value) => float.IsFinite(value) ? value : null;
}
