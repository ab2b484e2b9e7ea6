namespace Microsoft.ML.Leap;

/// <summary>The learning rate of every step of one run: a straight warmup from near zero, then the schedule over the rest.</summary>
/// <remarks>With a time budget, the part of the run that is done is the greater of the steps' and the time's, so that the schedule ends
/// with whichever ends the run.</remarks>
internal sealed class LearningRatePlan(TrainingSettings settings, long stepCount)
{
    private readonly long _warmup = settings.WarmupSteps > 0 ? settings.WarmupSteps : (long)Math.Ceiling(settings.WarmupRatio * stepCount);

    /// <param name="step">The step, counted from 0.</param>
    /// <param name="elapsed">The time spent before it.</param>
    public double this[long step, TimeSpan elapsed]
    {
        get
        {
            if (step < _warmup)
                return settings.LearningRate * (step + 1) / _warmup;
            double spent = settings.TimeBudget is TimeSpan budget ? Math.Min(1, elapsed / budget) : 0;
            return settings.LearningRate * settings.Schedule.FactorAt(Math.Max(spent, (double)(step - _warmup) / (stepCount - _warmup)));
        }
    }
}
