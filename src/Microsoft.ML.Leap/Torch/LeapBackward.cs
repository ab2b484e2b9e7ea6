using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>One thread's backward pass of LEAP attention: a sequence's head at a time, from the last token to the first.</summary>
/// <remarks>A name like dM is the gradient of what <see cref="MultiheadLeap"/> calls M. A token's values and focus work on the windows
/// of the tokens after it, so that their gradients are sliding sums too, reversed in time.</remarks>
internal sealed unsafe class LeapBackward<TSize, TValue, TFormat> : IHeadPass
    where TSize : IRowSize
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
{
    private const int C1 = 0, C2 = 1, Dropped = 2, MeanGradient = 3, SumGradient = 4, Factors = 5, Ones = 6;
    private const int Input = 7, OutputGradient = 8, Result = 9, RowCount = 10;

    private readonly LeapShape _shape;
    private readonly LeapMemory _memory;
    private readonly TValue* _gradients;
    private readonly HeadRows<TSize> _rows;
    private readonly SlidingSums<TSize> _sums;
    private readonly float[] _logitGradients;
    private readonly float[] _forgetGradients;

    /// <param name="shape">The layer's shape.</param>
    /// <param name="memory">What the forward pass read and saved, and the gradient of its output.</param>
    /// <param name="gradients">Where the projections' gradients go, [B, N, 4 d], in the projections' type.</param>
    public LeapBackward(LeapShape shape, LeapMemory memory, void* gradients)
    {
        _shape = shape;
        _memory = memory;
        _gradients = (TValue*)gradients;
        _rows = new HeadRows<TSize>(shape, RowCount);
        _rows.Fill(Ones, 1);
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
        long begin = first * 4 * d + head * _shape.HeadSize;
        TValue* Q = (TValue*)_memory.Projections + begin;
        TValue* dQ = _gradients + begin;

        _sums.Clear();
        for (int i = _shape.Length - 1; i >= 0; i--)
        {
            long at = 4L * i * d;
            long ahead = 4L * (i - HeadRows<TSize>.PrefetchDistance) * d;
            _rows.Prefetch(Q + ahead);
            _rows.Prefetch(Q + ahead + 3 * d);
            _rows.Prefetch(dQ + ahead);
            _rows.Prefetch(dQ + ahead + 3 * d);
            _rows.Prefetch(_memory.Output + place + (i - HeadRows<TSize>.PrefetchDistance) * (long)d);
            bool isLast = i + 1 == _shape.Length || _shape.StartsDocument(i + 1);
            if (isLast)
                _sums.Clear();
            float product = Gate(Q + at, dQ + at, saved + i, place + (long)i * d);
            _logitGradients[i] = FocusedMean(Q + at + 3 * d, dQ + at + 3 * d, saved + i, product, isLast ? 1 : _memory.Kept[saved + i + 1]);
            _forgetGradients[i] = i == 0 || _shape.StartsDocument(i) ? 0 : Forget(saved + i);
        }

        // Tokens no longer depend on each other: the processor computes several at a time.
        for (int i = 0; i < _shape.Length; i++)
        {
            long ahead = (4L * (i + HeadRows<TSize>.PrefetchDistance) + 1) * d;
            _rows.Prefetch(Q + ahead);
            _rows.Prefetch(Q + ahead + d);
            _rows.Prefetch(dQ + ahead);
            _rows.Prefetch(dQ + ahead + d);
            Focus(Q + (4L * i + 1) * d, dQ + (4L * i + 1) * d, _logitGradients[i], _forgetGradients[i], place + (long)i * d);
        }
    }

    public void Dispose()
    {
        _rows.Dispose();
        _sums.Dispose();
    }

    // Writes dQ and the row dM, and returns the sum over the head of dM M.
    private float Gate(TValue* Q, TValue* dQ, long saved, long place)
    {
        float* M = _memory.Means + saved * _rows.RowSize;
        float* factors = GetFactors(_shape.MeanMask, place);
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
        int d = _shape.HiddenSize;
        float* c1 = _rows[C1];
        float* c2 = _rows[C2];
        float* factors = GetFactors(_shape.FocusMask, place);
        float deviation1 = Center(F1, c1);
        float deviation2 = Center(F1 + d, c2);
        float inverse1 = 1 / (deviation1 + LeapShape.Epsilon);
        float inverse2 = 1 / (deviation2 + LeapShape.Epsilon);

        float product = _rows.Dot(c1, _rows.Multiply(c2, factors, _rows[Dropped]));
        float scale = ds * _shape.FocusScale * inverse1 * inverse2;
        float through1 = deviation1 == 0 ? 0 : product * inverse1 / (deviation1 * (_shape.HeadSize - 1));
        float through2 = deviation2 == 0 ? 0 : product * inverse2 / (deviation2 * (_shape.HeadSize - 1));
        WriteLessMean(factors, c2, c1, through1, scale, dForget, dF1);
        WriteLessMean(factors, c1, c2, through2, scale, 0, dF1 + d);
    }

    private float Center(TValue* values, float* centered) => _rows.Center(_rows.Read<TValue, TFormat>(values, Input), centered, out _);

    // Writes factors * a - b * through, less the mean, all times scale, and adds a number. The mean of b is not quite 0 where b is a small difference.
    private void WriteLessMean(float* factors, float* a, float* b, float through, float scale, float added, TValue* gradient)
    {
        float* written = _rows.Write(gradient, Result);
        Vector<float> sum = Vector<float>.Zero;
        for (int k = 0; k < _rows.RowSize; k += Vector<float>.Count)
        {
            Vector<float> value = Vector.Load(factors + k) * Vector.Load(a + k) - Vector.Load(b + k) * through;
            Vector.Store(value, written + k);
            sum += value;
        }

        var mean = new Vector<float>(Vector.Sum(sum) / _shape.HeadSize);
        for (int k = 0; k < _rows.RowSize; k += Vector<float>.Count)
            Vector.Store((Vector.Load(written + k) - mean) * scale + new Vector<float>(added), written + k);
        _rows.StoreBack<TValue, TFormat>(written, gradient);
    }

    private float* GetFactors(NoiseMask? mask, long place) =>
        mask is NoiseMask given ? _rows.Factors(given, place, Factors) : _rows[Ones];
}
