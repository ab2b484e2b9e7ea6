using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>How often something happens in a training run. Immutable, and therefore thread-safe.</summary>
public sealed class TrainingInterval
{
    private readonly string _description;
    private readonly Func<long, long, TimeSpan, bool> _isDue;

    private TrainingInterval(string description, Func<long, long, TimeSpan, bool> isDue, bool isOfTime = false)
    {
        _description = description;
        _isDue = isDue;
        IsOfTime = isOfTime;
    }

    internal bool IsOfTime { get; }

    /// <summary>After every so many optimizer steps.</summary>
    /// <param name="count">At least 1.</param>
    /// <returns>The interval.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1.</exception>
    public static TrainingInterval Steps(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new(Describe($"every {count} steps"), (step, _, _) => step % count == 0);
    }

    /// <summary>At the end of every so many epochs.</summary>
    /// <param name="count">At least 1; 1 by default.</param>
    /// <returns>The interval.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1.</exception>
    public static TrainingInterval Epochs(int count = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new(Describe($"every {count} epochs"), (step, stepsPerEpoch, _) => step % (count * stepsPerEpoch) == 0);
    }

    /// <summary>Once this much time has passed since the last time.</summary>
    /// <param name="interval">Over zero.</param>
    /// <returns>The interval.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="interval"/> is zero or negative.</exception>
    public static TrainingInterval Time(TimeSpan interval)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        return new(Describe($"every {interval}"), (_, _, sinceLast) => sinceLast >= interval, isOfTime: true);
    }

    /// <inheritdoc/>
    public override string ToString() => _description;

    /// <param name="step">Steps done, from 1.</param>
    /// <param name="stepsPerEpoch">Steps of an epoch.</param>
    /// <param name="sinceLast">The time since it happened last, or since the run began.</param>
    internal bool IsDue(long step, long stepsPerEpoch, TimeSpan sinceLast) => _isDue(step, stepsPerEpoch, sinceLast);

    private static string Describe(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What a cancelled training run does.</summary>
public enum CancellationBehavior
{
    /// <summary>Throws an <see cref="OperationCanceledException"/>.</summary>
    Throw,

    /// <summary>Returns the best model so far; without validation data, the model as it stands.</summary>
    ReturnBest,
}
