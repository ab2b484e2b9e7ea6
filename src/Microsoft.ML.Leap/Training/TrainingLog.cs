namespace Microsoft.ML.Leap;

/// <summary>What a run leaves behind beside the weights.</summary>
internal sealed class TrainingLog
{
    /// <summary>The loss of every step, skipped ones included.</summary>
    public List<double> Losses { get; } = [];

    /// <summary>One record an evaluation.</summary>
    public List<TrainingRecord> Records { get; } = [];
}
