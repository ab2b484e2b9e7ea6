using System.Numerics;

namespace Microsoft.ML.Leap;

/// <summary>How the sliding sums of one head lie in memory: where a block stands, the sum of this block, and, unless the window is global, the
/// rows of the window.</summary>
/// <param name="Window">Tokens of the window; 0 for all that came before.</param>
/// <param name="RowSize">Values of a row, a whole number of SIMD vectors.</param>
internal readonly record struct SlidingSumsForm(int Window, int RowSize)
{
    private const int CacheLine = 64;

    /// <summary>Gets whether the window is all that came before.</summary>
    public bool IsGlobal => Window == 0;

    /// <summary>Gets where the sum of this block lies, in bytes: <see cref="RowSize"/> doubles and one for the numbers.</summary>
    public static int PrefixOffset => CacheLine;

    /// <summary>Gets where the window's rows lie, and after them one of zeros.</summary>
    public long RowsOffset => PrefixOffset + WholeLines((RowSize + 1L) * sizeof(double));

    /// <summary>Gets where the rows' numbers lie, and after them a zero.</summary>
    public long NumbersOffset => RowsOffset + WholeLines((Window + 1L) * RowSize * sizeof(float));

    /// <summary>Gets the length of it all.</summary>
    public long Bytes => IsGlobal ? RowsOffset : NumbersOffset + WholeLines((Window + 1L) * sizeof(float));

    /// <summary>Gets the values of a head and zeros after them, up to a whole number of SIMD vectors.</summary>
    public static int RowSizeOf(int headSize) => (headSize + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;

    private static long WholeLines(long bytes) => (bytes + CacheLine - 1) / CacheLine * CacheLine;
}
