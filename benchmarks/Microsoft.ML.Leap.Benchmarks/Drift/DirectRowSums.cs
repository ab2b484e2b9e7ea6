using System.Numerics.Tensors;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Sums over a window by their definition: all its rows are added up anew for each.</summary>
internal sealed class DirectRowSums(int window, int columns) : IRowSums
{
    private readonly double[] _rows = new double[window * columns];
    private long _count;

    public void Next(ReadOnlySpan<double> row, Span<double> sums)
    {
        row.CopyTo(_rows.AsSpan((int)(_count % window) * columns, columns));
        _count++;
        sums.Clear();
        for (int i = 0; i < Math.Min(_count, window); i++)
            TensorPrimitives.Add(sums, _rows.AsSpan(i * columns, columns), sums);
    }
}
