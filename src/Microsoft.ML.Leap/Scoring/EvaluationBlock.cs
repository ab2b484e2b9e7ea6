namespace Microsoft.ML.Leap;

/// <summary>Ids that are read in one pass: all but the last are read, and at each position from <paramref name="FirstScored"/> on the id
/// that follows is predicted and counts.</summary>
/// <param name="Ids">At least 2 ids.</param>
/// <param name="FirstScored">The first position that counts.</param>
/// <param name="StartsStream">Whether nothing of the stream comes before.</param>
internal readonly record struct EvaluationBlock(int[] Ids, int FirstScored, bool StartsStream)
{
    /// <summary>Gets the number of ids that are read.</summary>
    public int Length => Ids.Length - 1;
}
