namespace Microsoft.ML.Leap;

/// <summary>How well tokens are predicted at some of the positions in a block. Immutable, and therefore thread-safe.</summary>
public sealed record PositionBucket
{
    /// <summary>Gets the bucket's first position: 0 for the token that is predicted from the first token of a block alone.</summary>
    public required int FirstPosition { get; init; }

    /// <summary>Gets the number of tokens that were predicted at the bucket's positions; 0 where there were none.</summary>
    public required long TokenCount { get; init; }

    /// <summary>Gets their mean negative log-likelihood in nats a token; NaN without tokens.</summary>
    public required double CrossEntropy { get; init; }
}
