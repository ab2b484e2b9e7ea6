namespace Microsoft.ML.Leap;

/// <summary>What a cancelled training run does.</summary>
public enum CancellationBehavior
{
    /// <summary>Throws an <see cref="OperationCanceledException"/>.</summary>
    Throw,

    /// <summary>Returns the best model so far; without validation data, the model as it stands.</summary>
    ReturnBest,
}
