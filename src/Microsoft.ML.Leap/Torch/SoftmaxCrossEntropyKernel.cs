using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap;

/// <summary>Cross-entropy of rows of logits on the CPU; the logits give way to their gradients. A row stays in the processor's cache for
/// the two times that it is read.</summary>
/// <remarks>Rows are shared out in a fixed number of parts, so that no sum depends on the number of threads.</remarks>
/// <param name="logits">Logits without their bias, [rows, size].</param>
/// <param name="bias">The bias, [size].</param>
/// <param name="targets">The index of the right logit of each row, [rows].</param>
/// <param name="rowCount">The number of rows.</param>
/// <param name="size">Logits of a row.</param>
internal sealed unsafe class SoftmaxCrossEntropyKernel<TValue, TFormat, TVector>(
    TValue* logits, float* bias, long* targets, long rowCount, int size) : ISoftmaxCrossEntropyKernel
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
    where TVector : struct, ISimdVector<TVector>
{
    private const int PartCount = 16;

    // Fewer logits than a second thread is worth.
    private const long LeastShared = 1 << 15;

    /// <inheritdoc/>
    public void RowLosses(double* losses) => ForEachPart(part =>
    {
        float[] rented = ArrayPool<float>.Shared.Rent(size);
        fixed (float* row = rented)
        {
            for (long r = rowCount * part / PartCount; r < rowCount * (part + 1) / PartCount; r++)
                losses[r] = RowLoss(r, row, out _);
        }

        ArrayPool<float>.Shared.Return(rented);
    });

    /// <inheritdoc/>
    public double Loss()
    {
        double[] losses = new double[PartCount];
        ForEachPart(part => losses[part] = Part(part, null, 0));
        return losses.Sum();
    }

    /// <inheritdoc/>
    public double LossAndGradients(float scale, float* biasGradient)
    {
        double[] losses = new double[PartCount];
        float[][] sums = new float[PartCount][];
        ForEachPart(part =>
        {
            sums[part] = ArrayPool<float>.Shared.Rent(size);
            Array.Clear(sums[part], 0, size);
            losses[part] = Part(part, sums[part], scale);
        });

        var total = new Span<float>(biasGradient, size);
        foreach (float[] sum in sums)
        {
            TensorPrimitives.Add(total, sum.AsSpan(0, size), total);
            ArrayPool<float>.Shared.Return(sum);
        }

        return losses.Sum();
    }

    private void ForEachPart(Action<int> body) => CpuWork.ForRanges(PartCount, rowCount * size < LeastShared ? PartCount : 1, (first, count) =>
    {
        for (int part = (int)first; part < first + count; part++)
            body(part);
    });

    private double Part(int part, float[]? gradientSum, float scale)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(size);
        double loss = 0;
        fixed (float* row = rented, sum = gradientSum)
        {
            for (long r = rowCount * part / PartCount; r < rowCount * (part + 1) / PartCount; r++)
            {
                loss += RowLoss(r, row, out float total);
                if (sum is null)
                    continue;

                // A logit's gradient is its probability, less 1 at the target.
                row[targets[r]] -= total;
                StoreGradients(row, scale / total, logits + r * size, sum);
            }
        }

        ArrayPool<float>.Shared.Return(rented);
        return loss;
    }

    // Leaves the row's exponentials and their sum, relative to the target's logit: the sum is then at least 1. Only where another logit
    // is so much larger that the sum has no number, the largest must be found first.
    private double RowLoss(long r, float* row, out float total)
    {
        TValue* stored = logits + r * size;
        float chosen = TFormat.Load(stored + targets[r]) + bias[targets[r]];
        total = Exponentials(stored, chosen, row);
        if (float.IsFinite(total))
            return Math.Log(total);

        float largest = Largest(stored);
        total = Exponentials(stored, largest, row);
        return Math.Log(total) - (chosen - largest);
    }

    // Returns their sum.
    [MethodImpl(HotLoop.Options)]
    private float Exponentials(TValue* stored, float shift, float* row)
    {
        TVector sums = default;
        TVector shifts = TVector.Create(shift);
        int i = 0;
        for (; i <= size - TVector.Count; i += TVector.Count)
        {
            // The next row: memory is slower than the arithmetic.
            if (Sse.IsSupported)
                Sse.Prefetch1(stored + size + i);
            TVector exponential = VectorMath.Exp(TFormat.LoadVector<TVector>(stored + i) + TVector.Load(bias + i) - shifts);
            exponential.Store(row + i);
            sums += exponential;
        }

        double sum = sums.Sum();
        for (; i < size; i++)
        {
            row[i] = MathF.Exp(TFormat.Load(stored + i) + bias[i] - shift);
            sum += row[i];
        }

        return (float)sum;
    }

    private float Largest(TValue* stored)
    {
        float largest = float.NegativeInfinity;
        for (int i = 0; i < size; i++)
            largest = MathF.Max(largest, TFormat.Load(stored + i) + bias[i]);
        return largest;
    }

    [MethodImpl(HotLoop.Options)]
    private void StoreGradients(float* row, float scale, TValue* stored, float* sum)
    {
        TVector scales = TVector.Create(scale);
        int i = 0;
        for (; i <= size - TVector.Count; i += TVector.Count)
        {
            TVector gradient = TVector.Load(row + i) * scales;
            TFormat.StoreVector(gradient, stored + i);
            (TVector.Load(sum + i) + gradient).Store(sum + i);
        }

        for (; i < size; i++)
        {
            float gradient = row[i] * scale;
            TFormat.Store(gradient, stored + i);
            sum[i] += gradient;
        }
    }
}
