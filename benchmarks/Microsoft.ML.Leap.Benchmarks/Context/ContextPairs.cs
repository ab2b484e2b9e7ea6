namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP and GPT-2 at one context length, and the steps that they have taken in turn.</summary>
internal sealed class ContextPairs : IDisposable
{
    private readonly TrainingShape _shape;
    private readonly TrainingContestant _leap;
    private readonly TrainingContestant _gpt2;
    private readonly List<double> _leapSeconds = [];
    private readonly List<double> _gpt2Seconds = [];

    public ContextPairs(TrainingShape shape)
    {
        _shape = shape;
        _leap = TrainingContestant.Create(TrainingContestant.Leap, shape);
        _gpt2 = TrainingContestant.Create(TrainingContestant.Gpt2, shape);
    }

    public int Count => _leapSeconds.Count;

    public TimeSpan Elapsed => TimeSpan.FromSeconds(_leapSeconds.Sum() + _gpt2Seconds.Sum());

    public void WarmUp(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            _leap.Step();
            _gpt2.Step();
        }
    }

    public void Measure()
    {
        _leapSeconds.Add(_leap.Step());
        _gpt2Seconds.Add(_gpt2.Step());
    }

    public ContextResult Result() => new(
        _shape.ContextLength,
        _shape.BatchSize,
        Count,
        _shape.TokensAStep / Statistics.Median(_leapSeconds),
        _shape.TokensAStep / Statistics.Median(_gpt2Seconds),
        Statistics.MedianRatio(_gpt2Seconds, _leapSeconds));

    public void Dispose()
    {
        _leap.Dispose();
        _gpt2.Dispose();
    }
}
