using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>The shape of the learning rate over a run, after the warmup. Immutable, and therefore thread-safe.</summary>
public sealed class LearningRateSchedule
{
    private readonly string _description;
    private readonly Func<double, double> _factor;

    private LearningRateSchedule(string description, Func<double, double> factor)
    {
        _description = description;
        _factor = factor;
    }

    /// <summary>Falls in a straight line.</summary>
    /// <param name="finalRatio">What is left of the learning rate at the end: from 0, the default, to 1.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="finalRatio"/> is outside its range.</exception>
    public static LearningRateSchedule Linear(double finalRatio = 0)
    {
        RequireRatio(finalRatio, nameof(finalRatio));
        return new(Describe($"linear to {finalRatio}"), progress => 1 - (1 - finalRatio) * progress);
    }

    /// <summary>Falls along half a cosine: slowly, fast, slowly.</summary>
    /// <param name="finalRatio">The floor, as a ratio of the learning rate: from 0 to 1; 0.1 by default.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="finalRatio"/> is outside its range.</exception>
    public static LearningRateSchedule Cosine(double finalRatio = 0.1)
    {
        RequireRatio(finalRatio, nameof(finalRatio));
        return new(Describe($"cosine to {finalRatio}"), progress => finalRatio + (1 - finalRatio) * (1 + Math.Cos(Math.PI * progress)) / 2);
    }

    /// <summary>Stays as it is.</summary>
    /// <returns>The schedule.</returns>
    public static LearningRateSchedule Constant() => new("constant", _ => 1);

    /// <summary>Stays as it is, and falls in a straight line in the last part of the run.</summary>
    /// <param name="decayRatio">The last part, as a ratio of the run after the warmup: over 0, at most 1; 0.2 by default.</param>
    /// <param name="finalRatio">What is left of the learning rate at the end: from 0, the default, to 1.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A ratio is outside its range.</exception>
    public static LearningRateSchedule WarmupStableDecay(double decayRatio = 0.2, double finalRatio = 0)
    {
        if (!(decayRatio > 0 && decayRatio <= 1))
            throw new ArgumentOutOfRangeException(nameof(decayRatio), decayRatio, "decayRatio must be over 0 and at most 1.");
        RequireRatio(finalRatio, nameof(finalRatio));
        return new(
            Describe($"stable, last {decayRatio} linear to {finalRatio}"),
            progress => 1 - (1 - finalRatio) * Math.Max(0, (progress - (1 - decayRatio)) / decayRatio));
    }

    /// <summary>Gives the factor of the learning rate.</summary>
    /// <param name="progress">The part of the run after the warmup that is done, from 0 to 1.</param>
    /// <returns>From 0 to 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="progress"/> is outside its range.</exception>
    public double FactorAt(double progress)
    {
        RequireRatio(progress, nameof(progress));
        return _factor(progress);
    }

    /// <inheritdoc/>
    public override string ToString() => _description;

    private static string Describe(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static void RequireRatio(double value, string name)
    {
        if (!(value >= 0 && value <= 1))
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be from 0 to 1.");
    }
}

/// <summary>The learning rate of every step of one run: a straight warmup from near zero, then the schedule over the rest.</summary>
/// <remarks>With a time budget, the part of the run that is done is the greater of the steps' and the time's, so that the schedule ends
/// with whichever ends the run.</remarks>
internal sealed class LearningRatePlan(TrainingOptions options, long stepCount)
{
    private readonly double _highest = options.LearningRate!.Value;
    private readonly long _warmup = options.WarmupSteps > 0 ? options.WarmupSteps : (long)Math.Ceiling(options.WarmupRatio!.Value * stepCount);

    /// <summary>Gets or sets the step with which the optimizer knows nothing yet: over 0 where a run is joined. The warmup is made again from there.</summary>
    public long FirstStep { get; set; }

    /// <param name="step">The step, counted from 0.</param>
    /// <param name="elapsed">The time spent before it.</param>
    public double this[long step, TimeSpan elapsed]
    {
        get
        {
            double reached = _highest * Math.Min(1, (step - FirstStep + 1.0) / _warmup);
            if (step < _warmup)
                return reached;
            double spent = options.TimeBudget is TimeSpan budget ? Math.Min(1, elapsed / budget) : 0;
            return reached * options.Schedule.FactorAt(Math.Max(spent, (double)(step - _warmup) / (stepCount - _warmup)));
        }
    }
}
