using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention: each head's mean of the values in the window, weighted by each token's focus, gated by the query.</summary>
/// <remarks>
/// <code>
/// s = (RescaleValue / r) * sum_r(norm(F1) * norm(F2))        f = exp(s)
/// M = sum over the window of f U / sum over the window of f
/// a = sigmoid(sum_e(Q * M) / sqrt(e))                        the output is a * M
/// </code>
/// with <c>norm(y) = (y - mean(y)) / (std(y) + 1e-5)</c> over the r values per head of F1 or F2; Q, U and M have e per head. With forget gates there is no window, and both sums keep of what
/// came before the part
/// <code>
/// k = sigmoid(3 sum_r(F1) / sqrt(r) + offset of the head)      S = k S + f U
/// </code>
/// which the norm makes no use of.
/// </remarks>
internal sealed unsafe class LeapAttention(LeapConfig config)
{
    private const float Epsilon = 1e-5f;

    // Focus logits and gates that are computed at once: exponentials come cheaper by the vector. Few enough tokens that what is read of them
    // stays in the nearest cache until it is read again.
    private const int TileValues = 64;

    private const int Input = 0, Mean = 1, RowCount = 2;
    private const int C1 = 1, C2 = 2, FocusRowCount = 3;

    private readonly int _hiddenSize = config.HiddenSize;
    private readonly int _headCount = config.HeadCount;
    private readonly int _headSize = config.HeadSize;
    private readonly int _focusSize = config.FocusSize;
    private readonly int _focusesSize = config.HeadCount * config.FocusSize;
    private readonly int _projectionsSize = config.ProjectionsSize;
    private readonly int _rowSize = SlidingSumsLayout.GetRowSize(config.HeadSize);
    private readonly int _focusRowSize = SlidingSumsLayout.GetRowSize(config.FocusSize);
    private readonly float _focusScale = (float)(config.RescaleValue / config.FocusSize);
    private readonly float _gateScale = (float)(1 / Math.Sqrt(config.HeadSize));
    private readonly float _forgetScale = (float)(LeapConfig.ForgetGain / Math.Sqrt(config.FocusSize));
    private readonly float[]? _forgetOffsets = config.GetForgetOffsets();

    /// <summary>Attends: some heads of one sequence.</summary>
    /// <param name="firstHead">The first head.</param>
    /// <param name="headCount">How many heads. All of a token's lie side by side, so that many at a time are read faster than each apart.</param>
    /// <param name="count">Tokens.</param>
    /// <param name="projections">The parts Q, F1, F2 and U side by side, each of all heads: [count, 2 d + 2 H r].</param>
    /// <param name="layout">The layout of the sums over the window.</param>
    /// <param name="sums">The sums that the sequence's first head goes on from, followed by the other heads', and takes along; null where the
    /// sequence begins and ends here.</param>
    /// <param name="output">[count, d].</param>
    /// <param name="focus">f of all heads, [count, H].</param>
    /// <param name="gates">a of all heads, [count, H].</param>
    /// <param name="kept">k of all heads, [count, H]: 1 where there are no forget gates.</param>
    public void Run(
        int firstHead, int headCount, int count, float* projections, SlidingSumsLayout layout, byte* sums, float* output, float* focus, float* gates,
        float* kept)
    {
        // A window that the sequence does not fill is all that came before.
        if (sums is null && layout.Window >= count)
            layout = layout with { Window = 0 };
        switch (_rowSize, _focusRowSize)
        {
            case (32, 8):
                Run<RowSize32, RowSize8>(firstHead, headCount, count, projections, layout, sums, output, focus, gates, kept);
                break;
            case (32, 32):
                Run<RowSize32, RowSize32>(firstHead, headCount, count, projections, layout, sums, output, focus, gates, kept);
                break;
            case (64, 64):
                Run<RowSize64, RowSize64>(firstHead, headCount, count, projections, layout, sums, output, focus, gates, kept);
                break;
            case (_, 8):
                Run<AnyRowSize, RowSize8>(firstHead, headCount, count, projections, layout, sums, output, focus, gates, kept);
                break;
            default:
                Run<AnyRowSize, AnyRowSize>(firstHead, headCount, count, projections, layout, sums, output, focus, gates, kept);
                break;
        }
    }

    [MethodImpl(HotLoop.Options)]
    private void Run<TSize, TFocusSize>(
        int firstHead, int headCount, int count, float* projections, SlidingSumsLayout layout, byte* memory, float* output, float* focus, float* gates,
        float* kept)
        where TSize : IRowSize
        where TFocusSize : IRowSize
    {
        var sums = new SlidingSums<TSize>[headCount];
        for (int head = 0; head < headCount; head++)
        {
            sums[head] = new SlidingSums<TSize>(layout);
            if (memory is null)
                sums[head].Clear();
            else
                sums[head].Continue(memory + (firstHead + head) * layout.Bytes);
        }

        float* memoryOfRows = stackalloc float[RowCount * _rowSize];
        new Span<float>(memoryOfRows, RowCount * _rowSize).Clear();
        var rows = new Rows<TSize>(memoryOfRows, _headSize, _rowSize);
        float* memoryOfFocusRows = stackalloc float[FocusRowCount * _focusRowSize];
        new Span<float>(memoryOfFocusRows, FocusRowCount * _focusRowSize).Clear();
        var focusRows = new Rows<TFocusSize>(memoryOfFocusRows, _focusSize, _focusRowSize);
        int tileLength = Math.Max(1, TileValues / headCount);
        float* tile = stackalloc float[tileLength * headCount];
        float* keptTile = stackalloc float[tileLength * headCount];
        new Span<float>(keptTile, tileLength * headCount).Fill(1);

        int d = _hiddenSize;
        long next = _projectionsSize;
        float* Q = projections + firstHead * _headSize;
        float* firstF1 = projections + d + firstHead * _focusSize;
        output += firstHead * _headSize;
        focus += firstHead;
        gates += firstHead;
        kept += firstHead;
        for (int start = 0; start < count; start += tileLength)
        {
            int n = Math.Min(tileLength, count - start);
            float* value = tile;
            float* part = keptTile;
            for (int i = 0; i < n; i++)
            {
                float* F1 = firstF1 + i * next;
                for (int head = 0; head < headCount; head++, F1 += _focusSize)
                {
                    *value++ = FocusLogit(focusRows, F1, F1 + _focusesSize, out float sum);
                    if (_forgetOffsets is not null)
                        *part++ = sum * _forgetScale + _forgetOffsets[firstHead + head];
                }
            }

            VectorMath.Exp(tile, n * headCount);
            if (_forgetOffsets is not null)
                VectorMath.Sigmoid(keptTile, n * headCount);

            value = tile;
            part = keptTile;
            for (int i = 0; i < n; i++)
            {
                float* q = Q + i * next;
                float* result = output + (long)i * d;
                for (int head = 0; head < headCount; head++, q += _headSize, result += _headSize)
                {
                    float f = *value;
                    focus[i * _headCount + head] = f;
                    SlidingSums<TSize> window = sums[head];
                    kept[i * _headCount + head] = *part;
                    window.Add(rows.Read(q + d + 2 * _focusesSize, Input), f, f, *part++);
                    float* M = rows[Mean];
                    window.Write(1 / window.Number, M);
                    rows.Write(M, result);
                    *value++ = rows.Dot(rows.Read(q, Input), M) * _gateScale;
                }
            }

            VectorMath.Sigmoid(tile, n * headCount);

            value = tile;
            for (int i = 0; i < n; i++)
            {
                for (int head = 0; head < headCount; head++)
                {
                    float a = *value++;
                    gates[i * _headCount + head] = a;
                    rows.Multiply(output + (long)i * d + head * _headSize, a);
                }
            }

            Q += n * next;
            firstF1 += n * next;
            output += (long)n * d;
            focus += n * _headCount;
            gates += n * _headCount;
            kept += n * _headCount;
        }

        foreach (SlidingSums<TSize> window in sums)
            window.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float FocusLogit<TSize>(Rows<TSize> rows, float* F1, float* F2, out float sum)
        where TSize : IRowSize
    {
        float deviations = (rows.Center(F1, rows[C1], out sum) + Epsilon) * (rows.Center(F2, rows[C2], out _) + Epsilon);
        return rows.Dot(rows[C1], rows[C2]) / deviations * _focusScale;
    }

    /// <summary>Rows of one head's size, followed by zeros up to a whole number of SIMD vectors, and the arithmetic on them.</summary>
    private readonly struct Rows<TSize>(float* memory, int headSize, int rowSize)
        where TSize : IRowSize
    {
        private int RowSize => TSize.Known == 0 ? rowSize : TSize.Known;

        public float* this[int row] => memory + row * RowSize;

        /// <summary>Returns a token's values where they are, or with zeros after them in <paramref name="row"/>.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float* Read(float* source, int row)
        {
            if (headSize == RowSize)
                return source;
            Buffer.MemoryCopy(source, this[row], headSize * sizeof(float), headSize * sizeof(float));
            return this[row];
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Write(float* row, float* target)
        {
            int k = 0;
            for (; k <= headSize - Vector<float>.Count; k += Vector<float>.Count)
                Vector.Store(Vector.Load(row + k), target + k);
            for (; k < headSize; k++)
                target[k] = row[k];
        }

        /// <summary>Writes values less their mean, and gives their sum.</summary>
        /// <returns>Their standard deviation, the unbiased one.</returns>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float Center(float* source, float* centered, out float sum)
        {
            float* row = Read(source, Input);
            sum = Sum(row);
            float mean = sum / headSize;
            for (int k = 0; k < RowSize; k += Vector<float>.Count)
                Vector.Store(Vector.Load(row + k) - new Vector<float>(mean), centered + k);
            for (int k = headSize; k < RowSize; k++)
                centered[k] = 0;
            return MathF.Sqrt(Dot(centered, centered) / (headSize - 1));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private float Sum(float* row)
        {
            Vector<float> sum = Vector<float>.Zero;
            for (int k = 0; k < RowSize; k += Vector<float>.Count)
                sum += Vector.Load(row + k);
            return Vector.Sum(sum);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float Dot(float* a, float* b)
        {
            Vector<float> sum = Vector<float>.Zero;
            for (int k = 0; k < RowSize; k += Vector<float>.Count)
                sum += Vector.Load(a + k) * Vector.Load(b + k);
            return Vector.Sum(sum);
        }

        /// <summary>Multiplies a token's values.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Multiply(float* values, float factor)
        {
            int k = 0;
            for (; k <= headSize - Vector<float>.Count; k += Vector<float>.Count)
                Vector.Store(Vector.Load(values + k) * factor, values + k);
            for (; k < headSize; k++)
                values[k] *= factor;
        }
    }
}
