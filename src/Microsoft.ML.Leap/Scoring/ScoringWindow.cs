namespace Microsoft.ML.Leap;

/// <summary>A stretch of a row that is read in one pass: tokens [Start, End) are read after the token before them (or the end-of-text
/// start), and those from FirstScored on count.</summary>
internal readonly record struct ScoringWindow(int Row, int Start, int FirstScored, int End)
{
    public int Length => End - Start;

    /// <summary>Covers a row of <paramref name="tokenCount"/> tokens so that each counts in exactly one window. The first window starts at
    /// the row's start; each further one moves on by half a context and scores its second half, so that a token of a long row is predicted
    /// from at least half a context.</summary>
    public static IEnumerable<ScoringWindow> Cover(int row, int tokenCount, int contextLength)
    {
        int scored = 0;
        while (scored < tokenCount)
        {
            int start = scored == 0 ? 0 : Math.Max(0, scored - contextLength / 2);
            int end = Math.Min(tokenCount, start + contextLength);
            yield return new ScoringWindow(row, start, scored, end);
            scored = end;
        }
    }
}
