using System.Numerics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Sums of the last <c>window</c> rows of a sequence, and of a number that goes with each, without a single subtraction.</summary>
/// <remarks>
/// Time is cut into blocks of the window's length. A window is the rest of the last block, for which suffix sums are at hand, and the
/// begin of this one, which is summed as it comes. A suffix is read for the last time just before a summand of the new block takes its
/// place. Sums are taken in double precision, and do not depend on what lies outside of the window.
/// The memory is this object's own, or a recurrent state's, which carries the sums from one piece of a sequence to the next.
/// </remarks>
internal sealed unsafe class SlidingSums<TSize> : IDisposable
    where TSize : IRowSize
{
    private readonly SlidingSumsLayout _layout;
    private readonly int _window;
    private readonly int _rowSize;
    private byte* _own;

    // How many rows of this block there are.
    private int* _place;

    // The sum of this block so far: RowSize values, then the numbers' sum.
    private double* _prefix;

    // Null where the window is global. Else, a row and a number each: before the place this block's summands, from there on the suffix
    // sums of the last block; and one of zeros.
    private float* _rows;
    private float* _numbers;

    public SlidingSums(SlidingSumsLayout layout)
    {
        _layout = layout;
        _window = layout.Window;
        _rowSize = layout.RowSize;
    }

    private int RowSize => TSize.Known == 0 ? _rowSize : TSize.Known;

    /// <summary>Gets the sum of the window's numbers.</summary>
    public double Number => _prefix[RowSize] + (_rows is null ? 0 : _numbers[*_place]);

    public void Dispose() => NativeMemory.AlignedFree(_own);

    /// <summary>Begins a sequence in memory of its own.</summary>
    public void Clear()
    {
        if (_own is null)
            _own = (byte*)NativeMemory.AlignedAlloc((nuint)_layout.Bytes, 64);
        NativeMemory.Clear(_own, (nuint)_layout.Bytes);
        Continue(_own);
    }

    /// <summary>Goes on where the sums in a state's memory stand.</summary>
    /// <param name="memory">As many bytes as the layout has; all zero at the beginning of a sequence.</param>
    public void Continue(byte* memory)
    {
        _place = (int*)memory;
        _prefix = (double*)(memory + SlidingSumsLayout.PrefixOffset);
        if (_layout.IsGlobal)
            return;
        _rows = (float*)(memory + _layout.RowsOffset);
        _numbers = (float*)(memory + _layout.NumbersOffset);
    }

    /// <summary>Adds the next row, multiplied by a factor, and the number that goes with it.</summary>
    /// <param name="row">The row.</param>
    /// <param name="factor">What it is multiplied by.</param>
    /// <param name="number">The number.</param>
    /// <param name="kept">What the sums so far are multiplied by first; a window of less than all that came before keeps all of its sums.</param>
    public void Add(float* row, float factor, float number, float kept = 1)
    {
        if (_rows is null)
        {
            if (kept != 1)
                MultiplyPrefix(kept);
            AddToPrefix(row, factor, number);
            return;
        }

        if (*_place == _window)
            EndBlock();
        AddToPrefix(row, factor, number);
        float* summand = _rows + (long)*_place * RowSize;
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Vector.Store(Vector.Load(row + k) * factor, summand + k);
        _numbers[*_place] = number;
        ++*_place;
    }

    /// <summary>Writes the sum of the window's rows, multiplied by a factor.</summary>
    public void Write(double factor, float* sums)
    {
        float* suffix = _rows + (long)*_place * RowSize;
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
        {
            Vector<double> low = Vector.Load(_prefix + k);
            Vector<double> high = Vector.Load(_prefix + k + Vector<double>.Count);
            if (_rows is not null)
            {
                Vector.Widen(Vector.Load(suffix + k), out Vector<double> lowSuffix, out Vector<double> highSuffix);
                low += lowSuffix;
                high += highSuffix;
            }

            Vector.Store(Vector.Narrow(low * factor, high * factor), sums + k);
        }
    }

    private void AddToPrefix(float* row, float factor, float number)
    {
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Accumulate(Vector.Load(row + k) * factor, _prefix + k);
        _prefix[RowSize] += number;
    }

    private void MultiplyPrefix(double factor)
    {
        for (int k = 0; k < RowSize; k += Vector<double>.Count)
            Vector.Store(Vector.Load(_prefix + k) * factor, _prefix + k);
        _prefix[RowSize] *= factor;
    }

    // This block's summands become its suffix sums.
    private void EndBlock()
    {
        NativeMemory.Clear(_prefix, (nuint)(RowSize + 1) * sizeof(double));
        for (int place = _window - 1; place >= 0; place--)
        {
            float* row = _rows + (long)place * RowSize;
            for (int k = 0; k < RowSize; k += Vector<float>.Count)
            {
                Accumulate(Vector.Load(row + k), _prefix + k);
                Vector.Store(Vector.Narrow(Vector.Load(_prefix + k), Vector.Load(_prefix + k + Vector<double>.Count)), row + k);
            }

            _prefix[RowSize] += _numbers[place];
            _numbers[place] = (float)_prefix[RowSize];
        }

        *_place = 0;
        NativeMemory.Clear(_prefix, (nuint)(RowSize + 1) * sizeof(double));
    }

    private static void Accumulate(Vector<float> summand, double* sums)
    {
        Vector.Widen(summand, out Vector<double> low, out Vector<double> high);
        Vector.Store(Vector.Load(sums) + low, sums);
        Vector.Store(Vector.Load(sums + Vector<double>.Count) + high, sums + Vector<double>.Count);
    }
}

/// <summary>How the sliding sums of one head lie in memory: where a block stands, the sum of this block, and, unless the window is global, the
/// rows of the window.</summary>
/// <param name="Window">Tokens of the window; 0 for all that came before.</param>
/// <param name="RowSize">Values of a row, a whole number of SIMD vectors.</param>
internal readonly record struct SlidingSumsLayout(int Window, int RowSize)
{
    private const int CacheLine = 64;

    // Vector<T> has 256 bits at most.
    private const int WidestVector = 8;

    /// <summary>Gets whether the window is all that came before.</summary>
    public bool IsGlobal => Window == 0;

    /// <summary>Gets where the sum of this block lies, in bytes: <see cref="RowSize"/> doubles and one for the numbers.</summary>
    public static int PrefixOffset => CacheLine;

    /// <summary>Gets where the window's rows lie, and after them one of zeros.</summary>
    public long RowsOffset => PrefixOffset + RoundUpToLine((RowSize + 1L) * sizeof(double));

    /// <summary>Gets where the rows' numbers lie, and after them a zero.</summary>
    public long NumbersOffset => RowsOffset + RoundUpToLine((Window + 1L) * RowSize * sizeof(float));

    /// <summary>Gets the length of it all.</summary>
    public long Bytes => IsGlobal ? RowsOffset : NumbersOffset + RoundUpToLine((Window + 1L) * sizeof(float));

    /// <summary>Gets the values of a head and zeros after them, up to a whole number of SIMD vectors.</summary>
    public static int GetRowSize(int headSize) => (headSize + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;

    /// <summary>Gets the bytes of a token in a window, its row and its number, where vectors are widest: the same on every processor.</summary>
    public static long GetMostBytesPerToken(int headSize) => (((headSize + WidestVector - 1L) / WidestVector * WidestVector) + 1) * sizeof(float);

    private static long RoundUpToLine(long bytes) => (bytes + CacheLine - 1) / CacheLine * CacheLine;
}

/// <summary>The number of values in a row, given to kernels as a type: where it is known to the compiler, loops over a row are unrolled,
/// which takes a fifth to a third off their time.</summary>
internal interface IRowSize
{
    /// <summary>Gets the number of values, or 0 where it is known at run time only.</summary>
    static abstract int Known { get; }
}

/// <summary>Rows of any size.</summary>
internal readonly struct AnyRowSize : IRowSize
{
    public static int Known => 0;
}

/// <summary>Rows of 8 values, as F1 and F2 mostly have per head.</summary>
internal readonly struct RowSize8 : IRowSize
{
    public static int Known => 8;
}

/// <summary>Rows of 32 values, the commonest head.</summary>
internal readonly struct RowSize32 : IRowSize
{
    public static int Known => 32;
}

/// <summary>Rows of 64 values.</summary>
internal readonly struct RowSize64 : IRowSize
{
    public static int Known => 64;
}
