namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What repeated measurements come to.</summary>
internal static class Statistics
{
    /// <summary>Returns the middle value, or the mean of the two middle ones.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
            throw new ArgumentException("There is no median of nothing.", nameof(values));
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>Returns the median of the pairs' ratios, which a machine that grows slower with time disturbs less than the ratio of the
    /// medians.</summary>
    public static double MedianRatio(IReadOnlyList<double> numerators, IReadOnlyList<double> denominators)
    {
        if (numerators.Count != denominators.Count)
            throw new ArgumentException($"{numerators.Count} and {denominators.Count} values make no pairs.", nameof(denominators));
        return Median(numerators.Zip(denominators, (numerator, denominator) => numerator / denominator));
    }
}
