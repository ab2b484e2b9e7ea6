namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Sums over all rows so far, with the lost digits summed apart (Neumaier 1974): the error does not grow with the number of
/// rows.</summary>
internal sealed class CompensatedRowSums(int columns) : IRowSums
{
    private readonly double[] _sums = new double[columns];
    private readonly double[] _lost = new double[columns];

    public void Next(ReadOnlySpan<double> row, Span<double> sums)
    {
        for (int k = 0; k < columns; k++)
        {
            double sum = _sums[k] + row[k];
            _lost[k] += Math.Abs(_sums[k]) >= Math.Abs(row[k]) ? _sums[k] - sum + row[k] : row[k] - sum + _sums[k];
            _sums[k] = sum;
            sums[k] = sum + _lost[k];
        }
    }
}
