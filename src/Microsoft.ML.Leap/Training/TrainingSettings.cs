namespace Microsoft.ML.Leap;

/// <summary>What the training loop needs to know beside the model and the data.</summary>
internal sealed record TrainingSettings
{
    public required int Epochs { get; init; }
    public required int BatchSize { get; init; }
    public required double LearningRate { get; init; }
    public required double Beta1 { get; init; }
    public required double Beta2 { get; init; }
    public required double WeightDecay { get; init; }
    public required double MaximumGradientNorm { get; init; }
    public required int Seed { get; init; }
    public Action<TrainingProgress>? Report { get; init; }
    public CancellationToken CancellationToken { get; init; }
}
