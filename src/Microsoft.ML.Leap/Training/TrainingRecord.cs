namespace Microsoft.ML.Leap;

/// <summary>What one evaluation found. Immutable, and therefore thread-safe.</summary>
public sealed record TrainingRecord
{
    /// <summary>Gets the epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>Gets the optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Gets the mean training loss since the record before, in nats a token and with dropout; NaN when all steps were
    /// skipped.</summary>
    public required double TrainingLoss { get; init; }

    /// <summary>Gets the validation loss in nats a token; <see langword="null"/> without validation data.</summary>
    public required double? ValidationLoss { get; init; }

    /// <summary>Gets the learning rate of the step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Gets the Euclidean norm of the step's gradient before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Gets the steps skipped so far.</summary>
    public required long SkippedSteps { get; init; }

    /// <summary>Gets the tokens trained on so far.</summary>
    public required long Tokens { get; init; }

    /// <summary>Gets the time of training so far, evaluations included.</summary>
    public required TimeSpan Elapsed { get; init; }
}
