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
