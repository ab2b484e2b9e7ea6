namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A mean and its 95 % interval: 1.96 standard errors to both sides.</summary>
internal sealed record Interval(double Mean, double Low, double High)
{
    public static Interval Of(IReadOnlyCollection<double> samples)
    {
        if (samples.Count < 2)
            throw new ArgumentException($"An interval needs at least 2 samples, but there are {samples.Count}.", nameof(samples));
        double mean = samples.Average();
        double variance = samples.Sum(sample => (sample - mean) * (sample - mean)) / (samples.Count - 1);
        double half = 1.96 * Math.Sqrt(variance / samples.Count);
        return new Interval(mean, mean - half, mean + half);
    }

    public override string ToString() => string.Create(
        System.Globalization.CultureInfo.InvariantCulture, $"{Mean:0.000} [{Low:0.000}, {High:0.000}]");
}
