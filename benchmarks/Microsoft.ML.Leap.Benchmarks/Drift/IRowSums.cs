namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Sums over the last rows of a sequence that comes row by row.</summary>
internal interface IRowSums
{
    /// <summary>Takes the next row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="sums">The sums of the window that ends with it, one a column.</param>
    void Next(ReadOnlySpan<double> row, Span<double> sums);
}
