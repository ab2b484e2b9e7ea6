namespace Microsoft.ML.Leap;

/// <summary>Where a run stands, beside weights and moments. All random numbers follow from the seed and the step.</summary>
internal sealed class TrainingState
{
    /// <summary>Steps done, skipped ones included.</summary>
    public long Step { get; set; }

    public long SkippedSteps { get; set; }
    public int SkippedInARow { get; set; }

    /// <summary>Tokens trained on, in the time of <see cref="Stepping"/>, which leaves evaluations out.</summary>
    public long Tokens { get; set; }

    public TimeSpan Stepping { get; set; }
    public TimeSpan Elapsed { get; set; }

    /// <summary>The sum of the loss over the tokens trained on since the last evaluation, and their number.</summary>
    public double LossSum { get; set; }

    public long LossTokens { get; set; }

    public double? BestLoss { get; set; }
    public long? BestStep { get; set; }

    /// <summary>The loss that early stopping wants beaten, and the evaluations since that have not.</summary>
    public double? ReferenceLoss { get; set; }

    public int EvaluationsWithoutImprovement { get; set; }

    public bool IsStoppedEarly { get; set; }
}
