namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The time of one token at a position.</summary>
/// <param name="Position">Tokens read before.</param>
/// <param name="MillisecondsPerToken">A step, the logits and the most likely token; the median of the rounds.</param>
internal sealed record GenerationPosition(int Position, double MillisecondsPerToken);
