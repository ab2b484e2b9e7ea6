namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Rates of matrix products in GFLOP/s.</summary>
internal sealed record MatrixRate(double Float32, double BFloat16)
{
    public static MatrixRate Median(IReadOnlyCollection<MatrixRate> rates) =>
        new(Statistics.Median(rates.Select(rate => rate.Float32)), Statistics.Median(rates.Select(rate => rate.BFloat16)));

    /// <summary>Gives the rate in the one or the other precision.</summary>
    public double In(bool bfloat16) => bfloat16 ? BFloat16 : Float32;
}
