using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>Products of a matrix and single vectors over raw memory: what generation spends its time on.</summary>
/// <remarks>Bound by how fast the matrix comes from memory. Four rows at a time share each load of the vector; several vectors share each load of
/// the rows. A value does not depend on how many vectors or rows are computed with it.</remarks>
internal static unsafe class MatrixVector
{
    private const int RowsAtOnce = 4;

    /// <summary>Computes <c>y = matrix x + bias</c> for some rows and several vectors.</summary>
    /// <param name="matrix">[rows, columns].</param>
    /// <param name="bias">[rows]; null for none.</param>
    /// <param name="firstRow">The first row to compute.</param>
    /// <param name="rowCount">How many rows to compute.</param>
    /// <param name="columns">Values of a row.</param>
    /// <param name="x">The vectors, of <paramref name="columns"/> values each.</param>
    /// <param name="y">Where each result goes, of all rows.</param>
    public static void Multiply(float* matrix, float* bias, int firstRow, int rowCount, int columns, ReadOnlySpan<nint> x, ReadOnlySpan<nint> y)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<RowVector512>(matrix, bias, firstRow, rowCount, columns, x, y);
        else
            Run<RowVector256>(matrix, bias, firstRow, rowCount, columns, x, y);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Run<TVector>(
        float* matrix, float* bias, int firstRow, int rowCount, int columns, ReadOnlySpan<nint> x, ReadOnlySpan<nint> y)
        where TVector : struct, IRowVector<TVector>
    {
        int end = firstRow + rowCount;
        for (int row = firstRow; row < end; row += RowsAtOnce)
        {
            // The last rows may be less than four: a row then stands in for those that are missing.
            int last = end - 1 - row;
            float* a = matrix + (long)row * columns;
            float* b = a + (long)Math.Min(1, last) * columns;
            float* c = a + (long)Math.Min(2, last) * columns;
            float* d = a + (long)Math.Min(3, last) * columns;
            for (int i = 0; i < x.Length; i++)
            {
                float* result = (float*)y[i] + row;
                Vector128<float> sums = Dots<TVector>(a, b, c, d, (float*)x[i], columns);
                for (int k = 0; k <= Math.Min(last, RowsAtOnce - 1); k++)
                    result[k] = sums[k] + (bias is null ? 0 : bias[row + k]);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Dots<TVector>(float* a, float* b, float* c, float* d, float* x, int columns)
        where TVector : struct, IRowVector<TVector>
    {
        TVector sumA = TVector.Create(0), sumB = sumA, sumC = sumA, sumD = sumA;
        int k = 0;
        for (; k <= columns - TVector.Count; k += TVector.Count)
        {
            TVector value = TVector.Load(x + k);
            sumA = TVector.MultiplyAdd(TVector.Load(a + k), value, sumA);
            sumB = TVector.MultiplyAdd(TVector.Load(b + k), value, sumB);
            sumC = TVector.MultiplyAdd(TVector.Load(c + k), value, sumC);
            sumD = TVector.MultiplyAdd(TVector.Load(d + k), value, sumD);
        }

        Vector128<float> sums = Vector128.Create(sumA.Sum(), sumB.Sum(), sumC.Sum(), sumD.Sum());
        for (; k < columns; k++)
            sums += Vector128.Create(a[k], b[k], c[k], d[k]) * x[k];
        return sums;
    }
}
