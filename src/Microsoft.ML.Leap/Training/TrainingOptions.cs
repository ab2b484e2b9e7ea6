using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>How a training run steps, how long it goes on, how it is measured, and what it leaves behind.</summary>
public abstract class TrainingOptions
{
    private protected TrainingOptions()
    {
    }

    /// <summary>Passes over the training texts.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
    public int? Epochs;

    /// <summary>Optimizer steps of the run, in place of <see cref="Epochs"/>.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, trains for <see cref="Epochs"/>.</value>
    public int? MaximumSteps;

    /// <summary>The time that training and evaluations may take; the run ends after the step that exceeds it.</summary>
    /// <value>Over zero; <see langword="null"/>, the default, for any time. The learning rate then follows the greater of the parts of the
    /// steps and of the time that are spent, so that its schedule ends with the run, which is therefore not repeatable to the bit.</value>
    public TimeSpan? TimeBudget;

    /// <summary>How much text goes through the network at once: so many times <see cref="LeapLanguageModelTrainer.Options.ContextLength"/> tokens, in rows of any
    /// length.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
    public int? BatchSize;

    /// <summary>Batches that an optimizer step adds up: as one batch of so many times <see cref="BatchSize"/>, in the memory of
    /// one.</summary>
    /// <value>At least 1, the default. Each token of the step counts the same, however the batches are filled.</value>
    public int GradientAccumulation = 1;

    /// <summary>In which precision matrices are multiplied while training.</summary>
    /// <value><see cref="TrainingPrecision.Auto"/> by default: what is measured to be the faster on the device; a resumed run keeps that of its
    /// checkpoint. Set another for numbers that repeat: the measurement may differ on another machine, or on a busy one.</value>
    public TrainingPrecision Precision = TrainingPrecision.Auto;

    /// <summary>How gradients change the weights.</summary>
    /// <value><see langword="null"/>, the default, for <see cref="TrainingOptimizer.Muon"/>; the original has
    /// <see cref="TrainingOptimizer.AdamW"/>. The learning rate and the weight decay mean the same with both.</value>
    public TrainingOptimizer? Optimizer;

    /// <summary>Highest learning rate: that of the first step after the warmup, from where it follows <see cref="Schedule"/>.</summary>
    /// <value>Over 0; <see langword="null"/>, the default, chooses by the amount of text.</value>
    public double? LearningRate;

    /// <summary>The shape of the learning rate after the warmup.</summary>
    /// <value>By default it falls in a straight line to zero.</value>
    public LearningRateSchedule Schedule = LearningRateSchedule.Linear();

    /// <summary>Steps in which the learning rate rises in a straight line to <see cref="LearningRate"/>.</summary>
    /// <value>At least 0, the default. Not together with <see cref="WarmupRatio"/>.</value>
    public int WarmupSteps;

    /// <summary>The warmup as a ratio of the planned steps.</summary>
    /// <value>From 0 to 1; <see langword="null"/>, the default, for 0.02. Not together with <see cref="WarmupSteps"/>.</value>
    public double? WarmupRatio;

    /// <summary>AdamW's decay of the mean of gradients.</summary>
    /// <value>At least 0, below 1; 0.9 by default.</value>
    public double Beta1 = 0.9;

    /// <summary>AdamW's decay of the mean of squared gradients.</summary>
    /// <value>At least 0, below 1; 0.999 by default.</value>
    public double Beta2 = 0.999;

    /// <summary>Weight decay: the part of a weight that is taken away per step, for a learning rate of 1. It is applied to the matrices of the blocks and, a third
    /// of it, to embeddings, or to <see cref="DecayAllWeights">all weights</see>.</summary>
    /// <value>At least 0; <see langword="null"/>, the default, chooses by the amount of text.</value>
    public double? WeightDecay;

    /// <summary>Whether all of the weight decay applies to all weights: embeddings, biases, norms and convolutions too.</summary>
    /// <value><see langword="false"/> by default; <see langword="true"/> is the plain form of AdamW.</value>
    public bool DecayAllWeights;

    /// <summary>Gradients with a greater Euclidean norm are scaled down to it.</summary>
    /// <value>Over 0; 1 by default.</value>
    public double MaximumGradientNorm = 1;

    /// <summary>How many steps in a row may be skipped, because their loss or gradient is not finite, before the run is given up.</summary>
    /// <value>At least 1; 10 by default. The last of so many throws.</value>
    public int MaximumSkippedSteps = 10;

    /// <summary>How often the validation loss is measured, over all validation tokens; at the end it is measured in any case.</summary>
    /// <value>Epochs or steps; after each epoch by default.</value>
    public TrainingInterval EvaluationInterval = TrainingInterval.Epochs();

    /// <summary>Whether the model with the least validation loss is returned, and not the last.</summary>
    /// <value><see langword="true"/> by default; without validation data it is always the last. Keeps a second copy of the weights.</value>
    public bool KeepBestModel = true;

    /// <summary>Evaluations in a row without improvement after which the run ends.</summary>
    /// <value>At least 1, which needs validation data. <see langword="null"/>, the default, stands for an eighth
    /// of the epochs, at least 3, where <see cref="LeapLanguageModelTrainer.Options.ValidationFraction"/> is <see langword="null"/> too and rows are held out, and never
    /// ends the run otherwise.</value>
    public int? EarlyStoppingPatience;

    /// <summary>The least fall of the validation loss, in nats, that counts as an improvement for
    /// <see cref="EarlyStoppingPatience"/>.</summary>
    /// <value>At least 0, the default.</value>
    public double EarlyStoppingImprovement;

    /// <summary>The folder that checkpoints are written to, each in a subfolder that is a model in the layout of Hugging Face too.</summary>
    /// <value><see langword="null"/>, the default, for none. Made when absent. One folder serves one run.</value>
    public string? CheckpointFolder;

    /// <summary>How often a checkpoint is written; one is written in any case where the validation loss is the least so far, and at the end.</summary>
    /// <value>After each epoch by default.</value>
    public TrainingInterval CheckpointInterval = TrainingInterval.Epochs();

    /// <summary>How many checkpoints are kept: the latest so many, and the best.</summary>
    /// <value>At least 1; 3 by default.</value>
    public int KeptCheckpoints = 3;

    /// <summary>Whether the run goes on from the latest checkpoint in <see cref="CheckpointFolder"/>, or from the beginning when there is
    /// none.</summary>
    /// <value><see langword="false"/> by default: a folder that already holds checkpoints is then refused. A checkpoint of other data or
    /// settings is refused, and a run without a <see cref="Seed"/> has another seed each time. On a CPU, what a resumed run gives
    /// equals to the bit what it would have given without the interruption.</value>
    public bool Resume;

    /// <summary>Seed of initial weights, shuffling and dropout.</summary>
    /// <value><see langword="null"/>, the default, draws it from the <see cref="MLContext"/>, whose own seed then decides. On a CPU the same
    /// seed, data and settings give the same model.</value>
    public int? Seed;

    /// <summary>Called after each optimizer step, on the thread that trains.</summary>
    /// <value><see langword="null"/> by default. An exception in it ends the training.</value>
    public Action<TrainingProgress>? Progress;

    /// <summary>Ends the training when cancelled, as <see cref="OnCancel"/> says. An experiment of ML.NET's AutoML that ends its
    /// runs does the same.</summary>
    public CancellationToken CancellationToken;

    /// <summary>What a cancelled run does.</summary>
    /// <value>Throws by default. Before the first step it always throws.</value>
    public CancellationBehavior OnCancel;

    internal virtual void Validate()
    {
        Require(Epochs is null or >= 1, nameof(Epochs), Epochs ?? 0, "at least 1");
        Require(MaximumSteps is null or >= 1, nameof(MaximumSteps), MaximumSteps ?? 0, "at least 1");
        Require(TimeBudget is null || TimeBudget > TimeSpan.Zero, nameof(TimeBudget), TimeBudget ?? default, "over zero");
        Require(BatchSize is null or >= 1, nameof(BatchSize), BatchSize ?? 0, "at least 1");
        Require(GradientAccumulation >= 1, nameof(GradientAccumulation), GradientAccumulation, "at least 1");
        Require(Enum.IsDefined(Precision), nameof(Precision), Precision, "a value of TrainingPrecision");
        Require(
            LearningRate is null || (LearningRate > 0 && double.IsFinite(LearningRate.Value)),
            nameof(LearningRate), LearningRate ?? 0, "over 0 and finite");
        ArgumentNullException.ThrowIfNull(Schedule, nameof(Schedule));
        Require(WarmupSteps >= 0, nameof(WarmupSteps), WarmupSteps, "at least 0");
        Require(WarmupRatio is null or (>= 0 and <= 1), nameof(WarmupRatio), WarmupRatio ?? 0, "from 0 to 1");
        Require(Optimizer is null || Enum.IsDefined(Optimizer.Value), nameof(Optimizer), Optimizer ?? default, "a value of TrainingOptimizer");
        Require(Beta1 >= 0 && Beta1 < 1, nameof(Beta1), Beta1, "at least 0 and below 1");
        Require(Beta2 >= 0 && Beta2 < 1, nameof(Beta2), Beta2, "at least 0 and below 1");
        Require(
            WeightDecay is null || (WeightDecay >= 0 && double.IsFinite(WeightDecay.Value)), nameof(WeightDecay), WeightDecay ?? 0, "at least 0 and finite");
        Require(
            MaximumGradientNorm > 0 && double.IsFinite(MaximumGradientNorm), nameof(MaximumGradientNorm), MaximumGradientNorm, "over 0 and finite");
        Require(MaximumSkippedSteps >= 1, nameof(MaximumSkippedSteps), MaximumSkippedSteps, "at least 1");
        ArgumentNullException.ThrowIfNull(EvaluationInterval, nameof(EvaluationInterval));
        Require(EarlyStoppingPatience is null or >= 1, nameof(EarlyStoppingPatience), EarlyStoppingPatience ?? 0, "at least 1");
        Require(
            EarlyStoppingImprovement >= 0 && double.IsFinite(EarlyStoppingImprovement),
            nameof(EarlyStoppingImprovement), EarlyStoppingImprovement, "at least 0 and finite");
        ArgumentNullException.ThrowIfNull(CheckpointInterval, nameof(CheckpointInterval));
        Require(KeptCheckpoints >= 1, nameof(KeptCheckpoints), KeptCheckpoints, "at least 1");
        Require(Enum.IsDefined(OnCancel), nameof(OnCancel), OnCancel, "a value of CancellationBehavior");
        if (CheckpointFolder is not null && string.IsNullOrWhiteSpace(CheckpointFolder))
            throw new ArgumentException("CheckpointFolder must be null or the path of a folder, but it is empty.", nameof(CheckpointFolder));
        if (Resume && CheckpointFolder is null)
            throw new ArgumentException("Resume needs a CheckpointFolder to resume from.", nameof(Resume));
        if (WarmupSteps > 0 && WarmupRatio > 0)
            throw new ArgumentException("Set WarmupSteps or WarmupRatio, not both.", nameof(WarmupRatio));
        if (EvaluationInterval.IsOfTime)
            throw new ArgumentException($"EvaluationInterval must be of epochs or steps, but is {EvaluationInterval}.", nameof(EvaluationInterval));
    }

    private protected static void Require(bool condition, string field, object value, string expected)
    {
        if (!condition)
            throw new ArgumentOutOfRangeException(field, value, $"{field} must be {expected}.");
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

/// <summary>What a cancelled training run does.</summary>
public enum CancellationBehavior
{
    /// <summary>Throws an <see cref="OperationCanceledException"/>.</summary>
    Throw,

    /// <summary>Returns the best model so far; without validation data, the model as it stands.</summary>
    ReturnBest,
}
