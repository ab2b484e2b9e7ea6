namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>How much the loss of the following tokens rises, in nats a token, when tokens are removed in one order.</summary>
/// <param name="Mean">The mean over the removed fractions and the texts: the area over the perturbation curve.</param>
/// <param name="Low">The lower end of its 95 % interval over the texts.</param>
/// <param name="High">The upper end.</param>
/// <param name="Points">The rise at each removed fraction.</param>
internal sealed record DeletionCurve(double Mean, double Low, double High, IReadOnlyList<DeletionPoint> Points)
{
    /// <summary>Sums up rises by text and fraction.</summary>
    public static DeletionCurve Of(IReadOnlyList<double> fractions, IReadOnlyList<double[]> rises)
    {
        Interval all = Interval.Of([.. rises.Select(text => text.Average())]);
        return new DeletionCurve(all.Mean, all.Low, all.High, [.. fractions.Select((fraction, k) =>
        {
            Interval at = Interval.Of([.. rises.Select(text => text[k])]);
            return new DeletionPoint(fraction, at.Mean, at.Low, at.High);
        })]);
    }

    public override string ToString() => new Interval(Mean, Low, High).ToString();
}
