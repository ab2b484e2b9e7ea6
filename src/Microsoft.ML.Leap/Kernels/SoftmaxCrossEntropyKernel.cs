using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>Cross-entropy of rows of logits on the CPU; the logits give way to their gradients. A row stays in the processor's cache for
/// the three times that it is read.</summary>
/// <remarks>Rows are shared out in a fixed number of parts, so that no sum depends on the number of threads.</remarks>
/// <param name="logits">Logits without their bias, [rows, size].</param>
/// <param name="bias">The bias, [size].</param>
/// <param name="targets">The index of the right logit of each row, [rows].</param>
/// <param name="rowCount">The number of rows.</param>
/// <param name="size">Logits of a row.</param>
internal sealed unsafe class SoftmaxCrossEntropyKernel<TValue, TFormat>(TValue* logits, float* bias, long* targets, long rowCount, int size)
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
{
    private const int PartCount = 16;

    // Fewer logits than a second thread is worth.
    private const long LeastShared = 1 << 15;

    private static readonly int Lanes = Vector256<float>.Count;

    /// <summary>Writes the loss of each row in nats, [rows], and leaves the logits as they are.</summary>
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

    /// <summary>Returns the sum of the rows' losses in nats, and leaves the logits as they are.</summary>
    public double Loss()
    {
        double[] losses = new double[PartCount];
        ForEachPart(part => losses[part] = Part(part, null, 0));
        return losses.Sum();
    }

    /// <summary>Returns the sum of the rows' losses in nats, writes the gradients, times <paramref name="scale"/>, over the logits, and
    /// adds them to <paramref name="biasGradient"/>, [size].</summary>
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

    // Leaves the row's exponentials, and their sum.
    private double RowLoss(long r, float* row, out float total)
    {
        float largest = LoadRow(logits + r * size, row);
        float chosen = row[targets[r]] - largest;
        total = Exponentials(row, largest);
        return Math.Log(total) - chosen;
    }

    private float LoadRow(TValue* stored, float* row)
    {
        Vector256<float> largest = Vector256.Create(float.NegativeInfinity);
        int i = 0;
        for (; i <= size - Lanes; i += Lanes)
        {
            Vector256<float> x = TFormat.LoadVector(stored + i) + Vector256.Load(bias + i);
            x.Store(row + i);
            largest = Vector256.Max(largest, x);
        }

        float result = float.NegativeInfinity;
        for (; i < size; i++)
        {
            row[i] = TFormat.Load(stored + i) + bias[i];
            result = MathF.Max(result, row[i]);
        }

        for (int lane = 0; lane < Lanes; lane++)
            result = MathF.Max(result, largest[lane]);
        return result;
    }

    // Returns their sum.
    private float Exponentials(float* row, float largest)
    {
        Vector256<float> even = default, odd = default;
        var shift = Vector256.Create(largest);
        int i = 0;
        for (; i <= size - 2 * Lanes; i += 2 * Lanes)
        {
            Vector256<float> first = Vector256.Exp(Vector256.Load(row + i) - shift);
            Vector256<float> second = Vector256.Exp(Vector256.Load(row + i + Lanes) - shift);
            first.Store(row + i);
            second.Store(row + i + Lanes);
            even += first;
            odd += second;
        }

        double sum = Vector256.Sum(even + odd);
        for (; i < size; i++)
        {
            row[i] = MathF.Exp(row[i] - largest);
            sum += row[i];
        }

        return (float)sum;
    }

    private void StoreGradients(float* row, float scale, TValue* stored, float* sum)
    {
        var scales = Vector256.Create(scale);
        int i = 0;
        for (; i <= size - Lanes; i += Lanes)
        {
            Vector256<float> gradient = Vector256.Load(row + i) * scales;
            TFormat.StoreVector(gradient, stored + i);
            (Vector256.Load(sum + i) + gradient).Store(sum + i);
        }

        for (; i < size; i++)
        {
            float gradient = row[i] * scale;
            TFormat.Store(gradient, stored + i);
            sum[i] += gradient;
        }
    }
}
