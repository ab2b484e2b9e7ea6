using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>Says how long a run will take, from the speed of its first steps.</summary>
internal sealed class TimeForecast(TrainingSettings settings, long stepCount, TokenBlocks training)
{
    // Steps that compile code and fill caches, and as many that are timed after them: few of a short run.
    private readonly int _someSteps = (int)Math.Clamp(stepCount / 40, 3, 25);
    private readonly List<TimeSpan> _times = [];
    private int _seen;

    /// <summary>Takes note of a step; after the last of the first ones it tells.</summary>
    /// <param name="step">The steps done.</param>
    /// <param name="time">What the last one took.</param>
    public void Observe(long step, TimeSpan time)
    {
        if (++_seen <= _someSteps || _times.Count == _someSteps)
            return;
        _times.Add(time);
        if (_times.Count < _someSteps || step == stepCount)
            return;

        double seconds = _times.Average(timed => timed.TotalSeconds);
        double tokens = (double)training.TargetCount / training.BatchCount(settings.BatchSize) * settings.GradientAccumulation;
        double left = (stepCount - step) * seconds;
        double budget = settings.TimeBudget?.TotalSeconds ?? double.PositiveInfinity;
        string limit = left > budget ? $", of which TimeBudget allows {DisplayText.Duration(settings.TimeBudget!.Value)}" : "";
        settings.Inform?.Invoke(string.Create(
            CultureInfo.InvariantCulture,
            $"The training will take about {DisplayText.Duration(TimeSpan.FromSeconds(Math.Min(left, TimeSpan.MaxValue.TotalSeconds / 2)))}: " +
            $"{stepCount:N0} steps of about {tokens:N0} tokens, at {tokens / seconds:N0} tokens/s, without evaluations{limit}."));
    }
}
