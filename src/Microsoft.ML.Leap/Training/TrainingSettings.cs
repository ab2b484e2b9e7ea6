using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What the training loop needs to know beside the model and the data.</summary>
internal sealed record TrainingSettings
{
    public required int Epochs { get; init; }
    public long? MaximumSteps { get; init; }
    public TimeSpan? TimeBudget { get; init; }

    /// <summary>Steps after which the run ends, though its schedule goes on: it can be resumed from its checkpoint.</summary>
    public long? PauseAfterSteps { get; init; }

    public required int BatchSize { get; init; }
    public int GradientAccumulation { get; init; } = 1;
    public bool UsesBFloat16 { get; init; }
    public required double LearningRate { get; init; }
    public LearningRateSchedule Schedule { get; init; } = LearningRateSchedule.Linear();
    public int WarmupSteps { get; init; }
    public double WarmupRatio { get; init; }
    public TrainingOptimizer Optimizer { get; init; }
    public required double Beta1 { get; init; }
    public required double Beta2 { get; init; }
    public required double WeightDecay { get; init; }
    public bool DecayAllWeights { get; init; }
    public required double MaximumGradientNorm { get; init; }
    public int MaximumSkippedSteps { get; init; } = 10;

    /// <summary>What stands beside the texts' own tokens as target; the texts alone when null.</summary>
    public SmoothedTargets? SmoothedTargets { get; init; }

    public TrainingInterval EvaluationInterval { get; init; } = TrainingInterval.Epochs();
    public bool KeepBestModel { get; init; }
    public int? EarlyStoppingPatience { get; init; }
    public double EarlyStoppingImprovement { get; init; }
    public CheckpointSettings? Checkpoints { get; init; }
    public required int Seed { get; init; }
    public Action<TrainingProgress>? Report { get; init; }
    public Action<string>? Inform { get; init; }
    public Action<string>? Warn { get; init; }
    public CancellationToken CancellationToken { get; init; }
    public Func<bool>? IsHostCancelled { get; init; }
    public CancellationBehavior OnCancel { get; init; }

    public bool IsCancelled => CancellationToken.IsCancellationRequested || IsHostCancelled?.Invoke() == true;

    public void ThrowIfCancelled()
    {
        CancellationToken.ThrowIfCancellationRequested();
        if (IsHostCancelled?.Invoke() == true)
            throw new OperationCanceledException("The MLContext was told to cancel.");
    }
}

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

/// <summary>How the rows of a text column are laid out for training.</summary>
public enum TrainingLayout
{
    /// <summary>Each row is read by itself, from an end-of-text start, exactly as it is scored. Rows of like length share a batch, and a row
    /// longer than the context is cut at places that are drawn anew each epoch.</summary>
    Rows,

    /// <summary>Rows are joined to one stream with an end-of-text token between them, and the stream is cut into blocks of the context's
    /// length that stay the same in all epochs: the original's form. A row may be read after the end of the one before it.</summary>
    Stream,
}

/// <summary>What a cancelled training run does.</summary>
public enum CancellationBehavior
{
    /// <summary>Throws an <see cref="OperationCanceledException"/>.</summary>
    Throw,

    /// <summary>Returns the best model so far; without validation data, the model as it stands.</summary>
    ReturnBest,
}

/// <summary>In which precision training multiplies matrices. Weights, sums, norms, focus and loss are in single precision in any case, and
/// so is all of evaluation and scoring.</summary>
public enum TrainingPrecision
{
    /// <summary><see cref="BFloat16"/> on a CPU or CUDA GPU where it is the faster by a wide margin, which is measured once in the process and
    /// takes a fraction of a second; else, and for networks too small to gain, <see cref="Float32"/>.</summary>
    Auto,

    /// <summary>Single precision: 24 significant bits.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The field's standard term, as bfloat16 is.")]
    Float32,

    /// <summary>Factors and results of matrix products are rounded to bfloat16: 8 significant bits, and the range of single
    /// precision.</summary>
    BFloat16,
}

/// <summary>Chooses the precision of training where it is left open.</summary>
internal static class PrecisionSelector
{
    // Below this width matrix products are a small part of a step, and the conversions cost what they gain.
    private const int LeastHiddenSize = 64;

    // A gain near 1 could be measured on either side of it from run to run, and a seed would then not fix the weights.
    private const double LeastGain = 1.3;

    /// <summary>Whether matrix products are to be in bfloat16.</summary>
    public static bool UsesBFloat16(TrainingPrecision wanted, Device device, int hiddenSize) =>
        UsesBFloat16(wanted, device, hiddenSize, MatrixProductSpeed.BFloat16Gain);

    internal static bool UsesBFloat16(TrainingPrecision wanted, Device device, int hiddenSize, Func<Device, double> measureGain) => wanted switch
    {
        TrainingPrecision.Float32 => false,
        TrainingPrecision.BFloat16 => true,
        _ => hiddenSize >= LeastHiddenSize && measureGain(device) >= LeastGain,
    };
}
