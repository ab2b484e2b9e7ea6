using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

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
        if (Vector512.IsHardwareAccelerated)
            Dots<SimdVector512>(query, keys, count, size, scores);
        else
            Dots<SimdVector256>(query, keys, count, size, scores);
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

    // Four keys at a time share each load of the query.
    [MethodImpl(HotLoop.Options)]
    private static void Dots<TVector>(float* query, float* keys, int count, int size, float* scores)
        where TVector : struct, ISimdVector<TVector>
    {
        const int rowsAtOnce = 4;
        for (int row = 0; row < count; row += rowsAtOnce)
        {
            // The last rows may be less than four: a row then stands in for those that are missing.
            int last = Math.Min(count - 1 - row, rowsAtOnce - 1);
            float* a = keys + (long)row * size;
            float* b = a + (long)Math.Min(1, last) * size;
            float* c = a + (long)Math.Min(2, last) * size;
            float* d = a + (long)last * size;
            TVector sumA = TVector.Create(0), sumB = sumA, sumC = sumA, sumD = sumA;
            int k = 0;
            for (; k <= size - TVector.Count; k += TVector.Count)
            {
                TVector value = TVector.Load(query + k);
                sumA = TVector.MultiplyAdd(TVector.Load(a + k), value, sumA);
                sumB = TVector.MultiplyAdd(TVector.Load(b + k), value, sumB);
                sumC = TVector.MultiplyAdd(TVector.Load(c + k), value, sumC);
                sumD = TVector.MultiplyAdd(TVector.Load(d + k), value, sumD);
            }

            Vector128<float> sums = Vector128.Create(sumA.Sum(), sumB.Sum(), sumC.Sum(), sumD.Sum());
            for (; k < size; k++)
                sums += Vector128.Create(a[k], b[k], c[k], d[k]) * query[k];
            for (int i = 0; i <= last; i++)
                scores[row + i] = sums[i];
        }
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
