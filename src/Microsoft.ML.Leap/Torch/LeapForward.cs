using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>One thread's forward pass of LEAP attention: a sequence's head at a time.</summary>
/// <remarks>Names are those of <see cref="MultiheadLeap"/>, whose equations these are.</remarks>
internal sealed unsafe class LeapForward<TSize, TFocusSize, TValue, TFormat> : IHeadPass
    where TSize : IRowSize
    where TFocusSize : IRowSize
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
{
    private const int Factors = 0, Input = 1, Mean = 2, Result = 3, C1 = 2, C2 = 3, RowCount = 4;

    private readonly LeapShape _shape;
    private readonly LeapMemory _memory;
    private readonly HeadRows<TSize> _rows;
    private readonly HeadRows<TFocusSize> _focusRows;
    private readonly SlidingSums<TSize> _sums;
    private readonly float[] _focus;
    private readonly float[] _kept;

    public LeapForward(LeapShape shape, LeapMemory memory)
    {
        _shape = shape;
        _memory = memory;
        _rows = new HeadRows<TSize>(shape.HeadSize, RowCount);
        _focusRows = new HeadRows<TFocusSize>(shape.FocusSize, RowCount);
        _sums = new SlidingSums<TSize>(shape.Sums);
        _focus = new float[shape.Length];
        _kept = new float[shape.Length];
    }

    [MethodImpl(HotLoop.Options)]
    public void Run(int sequence, int head)
    {
        int d = _shape.HiddenSize;
        long first = (long)sequence * _shape.Length;
        long place = first * d + head * _shape.HeadSize;
        long saved = first * _shape.HeadCount + (long)head * _shape.Length;
        long focusPlace = first * _shape.FocusesSize + head * _shape.FocusSize;
        long next = _shape.ProjectionsSize;
        long soon = next * HeadRows<TSize>.PrefetchDistance;
        TValue* F1 = (TValue*)_memory.Projections + first * next + d + head * _shape.FocusSize;

        // Two sweeps: tokens' focus does not depend on each other, so that the processor computes several at a time.
        for (int i = 0; i < _shape.Length; i++, F1 += next)
        {
            TValue* F2 = F1 + _shape.FocusesSize;
            _focusRows.Prefetch(F1 + soon);
            _focusRows.Prefetch(F2 + soon);
            _focus[i] = Focus(F1, F2, focusPlace + (long)i * _shape.FocusesSize, out float sum);
            _kept[i] = _shape.Keep(sum, head);
        }

        TValue* Q = (TValue*)_memory.Projections + first * next + head * _shape.HeadSize;
        _sums.Clear();
        for (int i = 0; i < _shape.Length; i++, Q += next)
        {
            TValue* U = Q + d + 2 * _shape.FocusesSize;
            _rows.Prefetch(Q + soon);
            _rows.Prefetch(U + soon);
            _rows.Prefetch(_memory.Output + place + (i + HeadRows<TSize>.PrefetchDistance) * (long)d);
            if (_shape.StartsDocument(i))
                _sums.Clear();
            float* M = FocusedMean(_focus[i], _kept[i], U, saved + i);
            Gate(Q, M, place + (long)i * d);
        }
    }

    public void Dispose()
    {
        _rows.Dispose();
        _focusRows.Dispose();
        _sums.Dispose();
    }

    private float Focus(TValue* F1, TValue* F2, long place, out float sum)
    {
        float* c1 = _focusRows[C1];
        float* c2 = _focusRows[C2];
        float deviations = (Center(F1, c1, out sum) + LeapShape.Epsilon) * (Center(F2, c2, out _) + LeapShape.Epsilon);
        if (_shape.FocusMask is NoiseMask mask)
            _focusRows.Multiply(c1, _focusRows.Factors(mask, place, Factors), c1);
        return MathF.Exp(_focusRows.Dot(c1, c2) / deviations * _shape.FocusScale);
    }

    private float Center(TValue* values, float* centered, out float sum) =>
        _focusRows.Center(_focusRows.Read<TValue, TFormat>(values, Input), centered, out sum);

    // Goes to memory where a backward pass will want it.
    private float* FocusedMean(float f, float kept, TValue* U, long saved)
    {
        _sums.Add(_rows.Read<TValue, TFormat>(U, Input), f, f, kept);
        double total = _sums.Number;
        float* M = _rows[Mean];
        if (_memory.Means is not null)
        {
            M = _memory.Means + saved * _rows.RowSize;
            _memory.Focus[saved] = f;
            _memory.Totals[saved] = (float)total;
            _memory.Kept[saved] = kept;
        }

        _sums.Write(1 / total, M);
        return M;
    }

    private void Gate(TValue* Q, float* M, long place)
    {
        if (_shape.MeanMask is NoiseMask mask)
            M = _rows.Multiply(M, _rows.Factors(mask, place, Factors), _rows[Mean]);

        float a = _shape.Gate(_rows.Dot(_rows.Read<TValue, TFormat>(Q, Input), M));
        float* output = _rows.Write(_memory.Output + place, Result);
        _rows.Multiply(M, a, output);
        _rows.StoreBack<float, Float32Row>(output, _memory.Output + place);
    }
}
