namespace Microsoft.ML.Leap.Tests;

/// <summary>Settings and data for the training loop, by itself.</summary>
internal static class TrainingSamples
{
    public static LeapConfig Config { get; } = new(13, 8, 8, 2, 2, dropout: 0.1);

    public static int[] Ids { get; } = [.. Enumerable.Range(0, 60).Select(i => i * i % 13)];

    public static TrainingSettings Settings(int epochs, int batchSize) => new()
    {
        Epochs = epochs,
        BatchSize = batchSize,
        LearningRate = 1e-3,
        Beta1 = 0.9,
        Beta2 = 0.999,
        WeightDecay = 0.1,
        MaximumGradientNorm = 1,
        Seed = 1,
    };

    public static float[] WeightsOf(LeapModel model) => [.. model.Weights.SelectMany(entry => entry.Weight.data<float>().ToArray())];
}
