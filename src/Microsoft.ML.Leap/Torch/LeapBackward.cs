using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>One thread's backward pass of LEAP attention: a sequence's head at a time, from the last token to the first.</summary>
/// <remarks>A name like dM is the gradient of what <see cref="MultiheadLeap"/> calls M. A token's values and focus work on the windows
/// of the tokens after it, so that their gradients are sliding sums too, reversed in time.</remarks>
internal sealed unsafe class LeapBackward<TSize, TFocusSize, TValue, TFormat> : IHeadPass
    where TSize : IRowSize
    where TFocusSize : IRowSize
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
{
    private const int Factors = 0, Ones = 1, Input = 2, Result = 3, Dropped = 4;
    private const int MeanGradient = 5, SumGradient = 6, OutputGradient = 7, RowCount = 8;
    private const int C1 = 5, C2 = 6, FocusRowCount = 7;

    private readonly LeapShape _shape;
    private readonly LeapMemory _memory;
    private readonly TValue* _gradients;
    private readonly HeadRows<TSize> _rows;
    private readonly HeadRows<TFocusSize> _focusRows;
    private readonly SlidingSums<TSize> _sums;
    private readonly float[] _logitGradients;
    private readonly float[] _forgetGradients;

    /// <param name="shape">The layer's shape.</param>
    /// <param name="memory">What the forward pass read and saved, and the gradient of its output.</param>
    /// <param name="gradients">Where the projections' gradients go, [B, N, 2 d + 2 H r], in the projections' type.</param>
    public LeapBackward(LeapShape shape, LeapMemory memory, void* gradients)
    {
        _shape = shape;
        _memory = memory;
        _gradients = (TValue*)gradients;
        _rows = new HeadRows<TSize>(shape.HeadSize, RowCount);
        _rows.Fill(Ones, 1);
        _focusRows = new HeadRows<TFocusSize>(shape.FocusSize, FocusRowCount);
        _focusRows.Fill(Ones, 1);
        _sums = new SlidingSums<TSize>(shape.Sums);
        _logitGradients = new float[shape.Length];
        _forgetGradients = new float[shape.Length];
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
        long toU = d + 2 * _shape.FocusesSize;

        long begin = first * next + head * _shape.HeadSize;
        _sums.Clear();
        for (int i = _shape.Length - 1; i >= 0; i--)
        {
            TValue* Q = (TValue*)_memory.Projections + begin + i * next;
            TValue* dQ = _gradients + begin + i * next;
            _rows.Prefetch(Q - soon);
            _rows.Prefetch(Q - soon + toU);
            _rows.Prefetch(dQ - soon);
            _rows.Prefetch(dQ - soon + toU);
            _rows.Prefetch(_memory.Output + place + (i - HeadRows<TSize>.PrefetchDistance) * (long)d);
            bool isLast = i + 1 == _shape.Length || _shape.StartsDocument(i + 1);
            if (isLast)
                _sums.Clear();
            float product = Gate(Q, dQ, saved + i, place + (long)i * d);
            _logitGradients[i] = FocusedMean(Q + toU, dQ + toU, saved + i, product, isLast ? 1 : _memory.Kept[saved + i + 1]);
            _forgetGradients[i] = i == 0 || _shape.StartsDocument(i) ? 0 : Forget(saved + i);
        }

        // Tokens no longer depend on each other: the processor computes several at a time.
        begin = first * next + d + head * _shape.FocusSize;
        for (int i = 0; i < _shape.Length; i++)
        {
            TValue* F1 = (TValue*)_memory.Projections + begin + i * next;
            TValue* dF1 = _gradients + begin + i * next;
            _focusRows.Prefetch(F1 + soon);
            _focusRows.Prefetch(F1 + soon + _shape.FocusesSize);
            _focusRows.Prefetch(dF1 + soon);
            _focusRows.Prefetch(dF1 + soon + _shape.FocusesSize);
            Focus(F1, dF1, _logitGradients[i], _forgetGradients[i], focusPlace + (long)i * _shape.FocusesSize);
        }
    }

    public void Dispose()
    {
        _rows.Dispose();
        _focusRows.Dispose();
        _sums.Dispose();
    }

    // Writes dQ and the row dM, and returns the sum over the head of dM M.
    private float Gate(TValue* Q, TValue* dQ, long saved, long place)
    {
        float* M = _memory.Means + saved * _rows.RowSize;
        float* factors = GetFactors(_rows, _shape.MeanMask, place);
        float* dropped = _rows[Dropped];
        float* dOut = _rows.Read<float, Float32Row>(_memory.Output + place, OutputGradient);
        float* q = _rows.Read<TValue, TFormat>(Q, Input);
        float* dq = _rows.Write(dQ, Result);
        float* dM = _rows[MeanGradient];

        _rows.Multiply(M, factors, dropped);
        float a = _shape.Gate(_rows.Dot(q, dropped));
        float dLogit = _rows.Dot(dOut, dropped) * a * (1 - a) * _shape.GateScale;
        Vector<float> sum = Vector<float>.Zero;
        for (int k = 0; k < _rows.RowSize; k += Vector<float>.Count)
        {
            Vector<float> mean = Vector.Load(factors + k) * (Vector.Load(dOut + k) * a + Vector.Load(q + k) * dLogit);
            Vector.Store(Vector.Load(dropped + k) * dLogit, dq + k);
            Vector.Store(mean, dM + k);
            sum += mean * Vector.Load(M + k);
        }

        _rows.StoreBack<TValue, TFormat>(dq, dQ);
        return Vector.Sum(sum);
    }

    // Writes dU and returns the gradient of the focus logit.
    private float FocusedMean(TValue* U, TValue* dU, long saved, float meanProduct, float kept)
    {
        float f = _memory.Focus[saved];
        float total = _memory.Totals[saved];
        float inverse = total == 0 ? 0 : 1 / total;
        float* dSum = _rows[SumGradient];
        _sums.Add(_rows[MeanGradient], inverse, -meanProduct * inverse, kept);
        _sums.Write(1, dSum);

        float df = _rows.Dot(dSum, _rows.Read<TValue, TFormat>(U, Input)) + (float)_sums.Number;
        float* du = _rows.Write(dU, Result);
        _rows.Multiply(dSum, f, du);
        _rows.StoreBack<TValue, TFormat>(du, dU);
        return f * df;
    }

    // Returns the gradient of F1's sum. The sums before the token, which the gate multiplied, are their mean times their total.
    private float Forget(long saved)
    {
        if (_shape.ForgetOffsets is null)
            return 0;
        float k = _memory.Kept[saved];
        float dk = _memory.Totals[saved - 1] * (_rows.Dot(_rows[SumGradient], _memory.Means + (saved - 1) * _rows.RowSize) + (float)_sums.Number);
        return dk * k * (1 - k) * _shape.ForgetScale;
    }

    // Writes dF1 and dF2. With n = c / (deviation + epsilon): the gradient of n goes to c directly and through the deviation, and from c
    // to F without its mean. A deviation of 0 has the gradient 0.
    private void Focus(TValue* F1, TValue* dF1, float ds, float dForget, long place)
    {
        int toF2 = _shape.FocusesSize;
        float* c1 = _focusRows[C1];
        float* c2 = _focusRows[C2];
        float* factors = GetFactors(_focusRows, _shape.FocusMask, place);
        float deviation1 = Center(F1, c1);
        float deviation2 = Center(F1 + toF2, c2);
        float inverse1 = 1 / (deviation1 + LeapShape.Epsilon);
        float inverse2 = 1 / (deviation2 + LeapShape.Epsilon);

        float product = _focusRows.Dot(c1, _focusRows.Multiply(c2, factors, _focusRows[Dropped]));
        float scale = ds * _shape.FocusScale * inverse1 * inverse2;
        float through1 = deviation1 == 0 ? 0 : product * inverse1 / (deviation1 * (_shape.FocusSize - 1));
        float through2 = deviation2 == 0 ? 0 : product * inverse2 / (deviation2 * (_shape.FocusSize - 1));
        WriteLessMean(factors, c2, c1, through1, scale, dForget, dF1);
        WriteLessMean(factors, c1, c2, through2, scale, 0, dF1 + toF2);
    }

    private float Center(TValue* values, float* centered) =>
        _focusRows.Center(_focusRows.Read<TValue, TFormat>(values, Input), centered, out _);

    // Writes factors * a - b * through, less the mean, all times scale, and adds a number. The mean of b is not quite 0 where b is a small difference.
    private void WriteLessMean(float* factors, float* a, float* b, float through, float scale, float added, TValue* gradient)
    {
        float* written = _focusRows.Write(gradient, Result);
        Vector<float> sum = Vector<float>.Zero;
        for (int k = 0; k < _focusRows.RowSize; k += Vector<float>.Count)
        {
            Vector<float> value = Vector.Load(factors + k) * Vector.Load(a + k) - Vector.Load(b + k) * through;
            Vector.Store(value, written + k);
            sum += value;
        }

        var mean = new Vector<float>(Vector.Sum(sum) / _shape.FocusSize);
        for (int k = 0; k < _focusRows.RowSize; k += Vector<float>.Count)
            Vector.Store((Vector.Load(written + k) - mean) * scale + new Vector<float>(added), written + k);
        _focusRows.StoreBack<TValue, TFormat>(written, gradient);
    }

    private static float* GetFactors<TRowSize>(HeadRows<TRowSize> rows, NoiseMask? mask, long place)
        where TRowSize : IRowSize => mask is NoiseMask given ? rows.Factors(given, place, Factors) : rows[Ones];
}
