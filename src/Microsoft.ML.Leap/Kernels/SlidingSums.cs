using System.Numerics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Sums of the last <c>window</c> rows of a sequence, and of a number that goes with each, without a single subtraction.</summary>
/// <remarks>
/// Time is cut into blocks of the window's length. A window is the rest of the last block, for which suffix sums are at hand, and the
/// begin of this one, which is summed as it comes. A suffix is read for the last time just before a summand of the new block takes its
/// place. Sums are taken in double precision, and do not depend on what lies outside of the window.
/// </remarks>
internal sealed unsafe class SlidingSums<TSize> : IDisposable
    where TSize : IRowSize
{
    private readonly int _window;
    private readonly int _rowSize;

    // The sum of this block so far: RowSize values, then the numbers' sum.
    private readonly double* _prefix;

    // Null for a window as long as the sequence. Else, a row and a number each: before _place this block's summands, from there on the
    // suffix sums of the last block; and one of zeros.
    private readonly float* _rows;
    private readonly float* _numbers;
    private int _place;

    public SlidingSums(LeapShape shape)
    {
        _window = shape.Window;
        _rowSize = shape.RowSize;
        _prefix = (double*)NativeMemory.AlignedAlloc((nuint)(_rowSize + 1) * sizeof(double), 64);
        if (_window < shape.Length)
        {
            _rows = (float*)NativeMemory.AlignedAlloc((nuint)(_window + 1) * (nuint)(_rowSize + 1) * sizeof(float), 64);
            _numbers = _rows + (_window + 1L) * _rowSize;
        }
    }

    private int RowSize => TSize.Known == 0 ? _rowSize : TSize.Known;

    /// <summary>Gets the sum of the window's numbers.</summary>
    public double Number => _prefix[RowSize] + (_rows is null ? 0 : _numbers[_place]);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_prefix);
        NativeMemory.AlignedFree(_rows);
    }

    /// <summary>Forgets all rows.</summary>
    public void Clear()
    {
        _place = 0;
        NativeMemory.Clear(_prefix, (nuint)(RowSize + 1) * sizeof(double));
        if (_rows is not null)
            NativeMemory.Clear(_rows, (nuint)(_window + 1) * (nuint)(RowSize + 1) * sizeof(float));
    }

    /// <summary>Adds the next row, multiplied by a factor, and the number that goes with it.</summary>
    public void Add(float* row, float factor, float number)
    {
        if (_rows is null)
        {
            AddToPrefix(row, factor, number);
            return;
        }

        if (_place == _window)
            EndBlock();
        AddToPrefix(row, factor, number);
        float* summand = _rows + (long)_place * RowSize;
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Vector.Store(Vector.Load(row + k) * factor, summand + k);
        _numbers[_place] = number;
        _place++;
    }

    /// <summary>Writes the sum of the window's rows, multiplied by a factor.</summary>
    public void Write(double factor, float* sums)
    {
        float* suffix = _rows + (long)_place * RowSize;
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

    // This block's summands become its suffix sums.
    private void EndBlock()
    {
        NativeMemory.Clear(_prefix, (nuint)(RowSize + 1) * sizeof(double));
        for (_place = _window - 1; _place >= 0; _place--)
        {
            float* row = _rows + (long)_place * RowSize;
            for (int k = 0; k < RowSize; k += Vector<float>.Count)
            {
                Accumulate(Vector.Load(row + k), _prefix + k);
                Vector.Store(Vector.Narrow(Vector.Load(_prefix + k), Vector.Load(_prefix + k + Vector<double>.Count)), row + k);
            }

            _prefix[RowSize] += _numbers[_place];
            _numbers[_place] = (float)_prefix[RowSize];
        }

        _place = 0;
        NativeMemory.Clear(_prefix, (nuint)(RowSize + 1) * sizeof(double));
    }

    private static void Accumulate(Vector<float> summand, double* sums)
    {
        Vector.Widen(summand, out Vector<double> low, out Vector<double> high);
        Vector.Store(Vector.Load(sums) + low, sums);
        Vector.Store(Vector.Load(sums + Vector<double>.Count) + high, sums + Vector<double>.Count);
    }
}
