using System.Numerics;
using System.Numerics.Tensors;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One query's attention over the keys and values of one head.</summary>
internal static unsafe class CachedAttention
{
    /// <summary>Computes <c>softmax(K q) V</c>.</summary>
    /// <param name="query">The query, already divided by the root of its size, [e].</param>
    /// <param name="keys">K, [count, e].</param>
    /// <param name="values">V, [count, e].</param>
    /// <param name="count">The tokens to attend to.</param>
    /// <param name="size">The head's size, e.</param>
    /// <param name="scores">Scratch memory, [count].</param>
    /// <param name="result">Where the result goes, [e].</param>
    public static void Run(float* query, float* keys, float* values, int count, int size, float* scores, float* result)
    {
        nint from = (nint)query;
        nint to = (nint)scores;
        MatrixVector.Multiply(keys, null, 0, count, size, new ReadOnlySpan<nint>(in from), new ReadOnlySpan<nint>(in to));
        var row = new Span<float>(scores, count);
        TensorPrimitives.Subtract(row, TensorPrimitives.Max<float>(row), row);
        TensorPrimitives.Exp<float>(row, row);
        float scale = 1 / TensorPrimitives.Sum<float>(row);
        int k = 0;
        for (; k <= size - 4 * Vector<float>.Count; k += 4 * Vector<float>.Count)
            WeightedSums(values + k, scores, count, size, scale, result + k);
        for (; k < size; k++)
            result[k] = WeightedSum(values + k, scores, count, size) * scale;
    }

    // Four vectors of a row at once, of two rows: eight sums that do not wait for one another.
    private static void WeightedSums(float* values, float* weights, int count, int size, float scale, float* result)
    {
        int width = Vector<float>.Count;
        Vector<float> a = default, b = default, c = default, d = default, a2 = default, b2 = default, c2 = default, d2 = default;
        int i = 0;
        for (; i + 1 < count; i += 2)
        {
            float* row = values + (long)i * size;
            float* next = row + size;
            var weight = new Vector<float>(weights[i]);
            var nextWeight = new Vector<float>(weights[i + 1]);
            a = Vector.FusedMultiplyAdd(Vector.Load(row), weight, a);
            b = Vector.FusedMultiplyAdd(Vector.Load(row + width), weight, b);
            c = Vector.FusedMultiplyAdd(Vector.Load(row + 2 * width), weight, c);
            d = Vector.FusedMultiplyAdd(Vector.Load(row + 3 * width), weight, d);
            a2 = Vector.FusedMultiplyAdd(Vector.Load(next), nextWeight, a2);
            b2 = Vector.FusedMultiplyAdd(Vector.Load(next + width), nextWeight, b2);
            c2 = Vector.FusedMultiplyAdd(Vector.Load(next + 2 * width), nextWeight, c2);
            d2 = Vector.FusedMultiplyAdd(Vector.Load(next + 3 * width), nextWeight, d2);
        }

        if (i < count)
        {
            float* row = values + (long)i * size;
            var weight = new Vector<float>(weights[i]);
            a += Vector.Load(row) * weight;
            b += Vector.Load(row + width) * weight;
            c += Vector.Load(row + 2 * width) * weight;
            d += Vector.Load(row + 3 * width) * weight;
        }

        Vector.Store((a + a2) * scale, result);
        Vector.Store((b + b2) * scale, result + width);
        Vector.Store((c + c2) * scale, result + 2 * width);
        Vector.Store((d + d2) * scale, result + 3 * width);
    }

    private static float WeightedSum(float* values, float* weights, int count, int size)
    {
        float sum = 0;
        for (int i = 0; i < count; i++)
            sum += weights[i] * values[(long)i * size];
        return sum;
    }
}
