namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A contestant and the times that it took.</summary>
internal sealed class TimedContestant(IGenerationContestant contestant) : IDisposable
{
    private readonly List<double> _milliseconds = [];

    /// <summary>Gets the times of all rounds.</summary>
    public IReadOnlyList<double> Rounds => _milliseconds;

    /// <summary>Gets the median time of a token.</summary>
    public double Milliseconds => Statistics.Median(_milliseconds);

    public void WarmUp() => contestant.Measure();

    public void Measure() => _milliseconds.Add(contestant.Measure());

    public void Dispose() => contestant.Dispose();
}
