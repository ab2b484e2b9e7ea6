namespace Microsoft.ML.Leap;

/// <summary>Ends a run whose validation loss improves no more.</summary>
internal sealed class EarlyStopping(LeapLanguageModelTrainer.Options options, TrainingState state)
{
    /// <summary>Takes note of a validation loss.</summary>
    public void Observe(double loss)
    {
        if (options.EarlyStoppingPatience is not int patience)
            return;
        if (double.IsFinite(loss) && (state.ReferenceLoss is not double reference || loss < reference - options.EarlyStoppingImprovement))
        {
            state.ReferenceLoss = loss;
            state.EvaluationsWithoutImprovement = 0;
            return;
        }

        state.EvaluationsWithoutImprovement++;
        state.IsStoppedEarly = state.EvaluationsWithoutImprovement >= patience;
    }
}

/// <summary>Counts and reports steps that were skipped because their loss or gradient is not finite, and stops a run that takes
/// none any more.</summary>
internal sealed class SkippedStepGuard(LeapLanguageModelTrainer.Options options, TrainingState state)
{
    public void Count(StepResult result, Action<string>? warn)
    {
        if (result.IsTaken)
        {
            state.SkippedInARow = 0;
            return;
        }

        state.SkippedSteps++;
        state.SkippedInARow++;
        warn?.Invoke($"Step {state.Step} is skipped: its loss is {result.Loss}, its gradient norm {result.GradientNorm}.");
        if (state.SkippedInARow >= options.MaximumSkippedSteps)
            throw Failure($"{state.SkippedInARow} steps in a row, up to step {state.Step}");
    }

    /// <summary>At the end of a run.</summary>
    public void RequireSomeTaken()
    {
        if (state.Step > 0 && state.SkippedSteps == state.Step)
            throw Failure($"all {state.Step} steps");
    }

    private static InvalidOperationException Failure(string steps) => new(
        $"The training loss or its gradient is not a finite number in {steps}; the weights were not changed by them. " +
        "Use a lower LearningRate, or a lower RescaleValue.");
}
