namespace Microsoft.ML.Leap;

/// <summary>Ends a run whose validation loss improves no more.</summary>
internal sealed class EarlyStopping(TrainingSettings settings, TrainingState state)
{
    /// <summary>Takes note of a validation loss.</summary>
    public void Observe(double loss)
    {
        if (settings.EarlyStoppingPatience is not int patience)
            return;
        if (double.IsFinite(loss) && (state.ReferenceLoss is not double reference || loss < reference - settings.EarlyStoppingImprovement))
        {
            state.ReferenceLoss = loss;
            state.EvaluationsWithoutImprovement = 0;
            return;
        }

        state.EvaluationsWithoutImprovement++;
        state.IsStoppedEarly = state.EvaluationsWithoutImprovement >= patience;
    }
}
