namespace Microsoft.ML.Leap.Tests;

/// <summary>Settings and data for the training loop, by itself.</summary>
internal static class TrainingSamples
{
    public static LeapConfig Config { get; } = new(13, 8, 8, 2, 2, dropout: 0.1);

    public static int[] Ids { get; } = [.. Enumerable.Range(0, 60).Select(i => i * i % 13)];

    public static LeapLanguageModelTrainer.Options Options(int epochs, int batchSize) => new()
    {
        Epochs = epochs,
        BatchSize = batchSize,
        LearningRate = 1e-3,
        WarmupRatio = 0,
        WeightDecay = 0.1,
        KeepBestModel = false,
        Precision = TrainingPrecision.Float32,
        Seed = 1,
    };

    /// <summary>Returns a copy with a change.</summary>
    public static LeapLanguageModelTrainer.Options With(this LeapLanguageModelTrainer.Options options, Action<LeapLanguageModelTrainer.Options> change)
    {
        LeapLanguageModelTrainer.Options copy = options.Copy();
        change(copy);
        return copy;
    }

    public static float[] GetWeights(LeapModel model) => [.. model.Weights.SelectMany(entry => entry.Weight.data<float>().ToArray())];
}
