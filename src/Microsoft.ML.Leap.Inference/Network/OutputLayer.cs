using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Logits and losses of hidden vectors: <c>logits = hidden W^T + bias</c>. Thread-safe.</summary>
/// <param name="matrix">The tied matrix with its bias.</param>
/// <param name="workers">The threads to share work among.</param>
internal sealed unsafe class OutputLayer(PackedMatrix matrix, WorkSharing workers)
{
    // Panels of one piece of work: of so many outputs the logits of a few rows fit in the cache beside the weights.
    private const int GroupPanels = 16;
    private const int GroupSize = GroupPanels * PackedMatrix.PanelWidth;

    // Rows whose logits of a group are in memory at once.
    private const int TileRows = 64;

    // Rows that share one reading of the matrix.
    private const int PassRows = 512;

    // The same where something is mixed in, which is in memory for all outputs at once.
    private const int MixedPassRows = 128;

    private int GroupCount => (matrix.PanelCount + GroupPanels - 1) / GroupPanels;

    /// <summary>Computes logits.</summary>
    /// <param name="hidden">[count, d].</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="logits">[count, V].</param>
    public void WriteLogits(float* hidden, int count, float* logits) =>
        workers.For(GroupCount, (long)count * matrix.Rows * matrix.Columns, group =>
            Product(hidden, count, group, logits + (long)group * GroupSize, matrix.Rows));

    /// <inheritdoc cref="WriteLogits(float*, int, float*)"/>
    /// <param name="hidden">[d] per row.</param>
    /// <param name="logits">[V] per row.</param>
    public void WriteLogits(float[][] hidden, float[][] logits)
    {
        int d = matrix.Columns;
        int count = hidden.Length;
        float[] packed = ArrayPool<float>.Shared.Rent(Math.Max(1, count) * d);
        for (int i = 0; i < count; i++)
            hidden[i].AsSpan(0, d).CopyTo(packed.AsSpan(i * d));
        fixed (float* x = packed)
        {
            float* rows = x;
            workers.For(GroupCount, (long)count * matrix.Rows * d, group =>
            {
                float[] tile = ArrayPool<float>.Shared.Rent(TileRows * GroupSize);
                fixed (float* y = tile)
                {
                    for (int row = 0; row < count; row += TileRows)
                    {
                        int n = Math.Min(TileRows, count - row);
                        int width = Product(rows + (long)row * d, n, group, y, GroupSize);
                        for (int i = 0; i < n; i++)
                            tile.AsSpan(i * GroupSize, width).CopyTo(logits[row + i].AsSpan(group * GroupSize));
                    }
                }

                ArrayPool<float>.Shared.Return(tile);
            });
        }

        ArrayPool<float>.Shared.Return(packed);
    }

    /// <summary>Computes <c>-ln softmax(logits)[target]</c> of each row in nats.</summary>
    /// <param name="hidden">[count, d].</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="targets">The id that follows each row.</param>
    /// <param name="losses">[count].</param>
    /// <param name="mix">What is mixed into the logits; null for nothing.</param>
    /// <remarks>Of a group of outputs each row keeps the largest logit and the sum of exponentials relative to it. Groups are put together in
    /// their order, whatever thread they come from.</remarks>
    public void WriteLosses(float* hidden, int count, ReadOnlySpan<int> targets, Span<double> losses, LogitMixing? mix)
    {
        foreach (int target in targets[..count])
        {
            ArgumentOutOfRangeException.ThrowIfNegative(target, nameof(targets));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(target, matrix.Rows, nameof(targets));
        }

        int passRows = mix is null ? PassRows : MixedPassRows;
        for (int row = 0; row < count; row += passRows)
        {
            int n = Math.Min(passRows, count - row);
            WritePass(hidden + (long)row * matrix.Columns, targets.Slice(row, n), losses.Slice(row, n), mix);
        }
    }

    private void WritePass(float* hidden, ReadOnlySpan<int> targets, Span<double> losses, LogitMixing? mix)
    {
        int count = targets.Length;
        int groups = GroupCount;
        int outputs = matrix.Rows;
        float[] added = mix is null ? [] : ArrayPool<float>.Shared.Rent(count * outputs);
        float[] factors = mix is null ? [] : ArrayPool<float>.Shared.Rent(count);
        mix?.Invoke(count, outputs, factors, added);
        double[] sums = ArrayPool<double>.Shared.Rent(count * groups);
        float[] maxima = ArrayPool<float>.Shared.Rent(count * groups);
        float[] chosen = ArrayPool<float>.Shared.Rent(count);
        fixed (int* target = targets)
        fixed (float* first = maxima)
        {
            int* ids = target;
            workers.For(groups, (long)count * matrix.Rows * matrix.Columns, group =>
            {
                float* tile = (float*)NativeMemory.AlignedAlloc((nuint)Math.Min(TileRows, count) * GroupSize * sizeof(float), 64);
                for (int row = 0; row < count; row += TileRows)
                {
                    int n = Math.Min(TileRows, count - row);
                    int width = Product(hidden + (long)row * matrix.Columns, n, group, tile, GroupSize);
                    for (int i = 0; i < n; i++)
                    {
                        float* logits = tile + i * GroupSize;
                        if (mix is not null)
                        {
                            var mixed = new Span<float>(logits, width);
                            TensorPrimitives.MultiplyAdd(mixed, factors[row + i], added.AsSpan((row + i) * outputs + group * GroupSize, width), mixed);
                        }

                        int place = ids[row + i] - group * GroupSize;
                        if (place >= 0 && place < width)
                            chosen[row + i] = logits[place];
                        float max = VectorMath.Max(logits, width);
                        maxima[(row + i) * groups + group] = max;
                        sums[(row + i) * groups + group] = VectorMath.SumExp(logits, max, width);
                    }
                }

                NativeMemory.AlignedFree(tile);
            });

            for (int i = 0; i < count; i++)
            {
                float max = VectorMath.Max(first + i * groups, groups);
                double logSum = LogSumOfExponentials(max, maxima.AsSpan(i * groups, groups), sums.AsSpan(i * groups, groups));
                losses[i] = logSum - chosen[i];
            }
        }

        ArrayPool<double>.Shared.Return(sums);
        ArrayPool<float>.Shared.Return(maxima);
        ArrayPool<float>.Shared.Return(chosen);
        if (mix is null)
            return;
        ArrayPool<float>.Shared.Return(added);
        ArrayPool<float>.Shared.Return(factors);
    }

    private static double LogSumOfExponentials(float max, ReadOnlySpan<float> maxima, ReadOnlySpan<double> sums)
    {
        double total = 0;
        for (int i = 0; i < sums.Length; i++)
            total += sums[i] * Math.Exp(maxima[i] - max);
        return max + Math.Log(total);
    }

    // Returns how many outputs the group has.
    private int Product(float* x, int n, int group, float* y, long stride)
    {
        int first = group * GroupPanels;
        int panels = Math.Min(GroupPanels, matrix.PanelCount - first);
        matrix.Multiply(x, n, first, panels, y, stride);
        return Math.Min(GroupSize, matrix.Rows - group * GroupSize);
    }
}
