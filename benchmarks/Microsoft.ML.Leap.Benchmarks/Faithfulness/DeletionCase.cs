namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A sequence from whose beginning tokens are removed to see what follows suffer.</summary>
/// <param name="Ids">The tokens, the end-of-text start first.</param>
/// <param name="RemovableCount">How many tokens after the start may be removed.</param>
/// <param name="FirstScored">The first of the tokens whose loss counts; none of them is removable.</param>
internal sealed record DeletionCase(int[] Ids, int RemovableCount, int FirstScored);
