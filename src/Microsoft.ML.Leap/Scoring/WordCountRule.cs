namespace Microsoft.ML.Leap;

/// <summary>What counts as a word of a text.</summary>
public enum WordCountRule
{
    /// <summary>Each stretch of characters without white space.</summary>
    Words,

    /// <summary>Each piece that <c>re.split(r"\s+", text)</c> gives in Python: as <see cref="Words"/>, and one more for white space at the
    /// start and one for white space at the end of a text.</summary>
    PiecesOfSplit,
}
