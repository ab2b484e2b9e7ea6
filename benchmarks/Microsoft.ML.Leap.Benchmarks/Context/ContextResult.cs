namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The training speeds at one context length.</summary>
/// <param name="ContextLength">Tokens of a sequence.</param>
/// <param name="BatchSize">Sequences of a step.</param>
/// <param name="Pairs">Pairs of steps measured.</param>
/// <param name="TokensPerSecondLeap">The median over LEAP's steps.</param>
/// <param name="TokensPerSecondGpt2">The median over GPT-2's steps.</param>
/// <param name="Ratio">LEAP's speed over GPT-2's: the median of the pairs.</param>
internal sealed record ContextResult(
    int ContextLength, int BatchSize, int Pairs, double TokensPerSecondLeap, double TokensPerSecondGpt2, double Ratio);
