using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>nanoGPT's small budget on the characters of a text: 4 layers, 4 heads, hidden size 128, context 64, batches of 12, no
/// dropout.</summary>
/// <remarks>The first 90 % of the characters are for training, the rest for validation. nanoGPT draws each training window at random; here
/// they are the consecutive blocks of the text, in a new order each epoch.</remarks>
internal static class ShakespeareRun
{
    private const int ContextLength = 64;
    private const int BatchSize = 12;

    public static ShakespeareReport Run(
        string text, string modelName, Device device, TrainingPrecision precision, double learningRate, int steps, int seed,
        Action<TrainingProgress>? report = null)
    {
        char[] alphabet = [.. text.Distinct().Order()];
        int[] ids = [.. text.Select(c => Array.BinarySearch(alphabet, c))];
        int trainingCount = ids.Length * 9 / 10;
        if (ids.Length - trainingCount < ContextLength)
            throw new InvalidOperationException($"The text has {ids.Length} characters; at least {10 * ContextLength} are needed.");

        // From the last training character on, so that the first one of the validation split is predicted too.
        var training = new StreamBlocks(ids[..trainingCount], ContextLength);
        var validation = new StreamBlocks(ids[(trainingCount - 1)..], ContextLength);
        var config = new LeapConfig(alphabet.Length, 128, ContextLength, layerCount: 4, headCount: 4, dropout: 0);
        using LanguageModelNetwork model = ModelChoice.Create(modelName, config, device, seed);
        TrainingSettings settings = Settings(learningRate, steps, seed) with
        {
            UsesBFloat16 = PrecisionSelector.UsesBFloat16(precision, device, config.HiddenSize),
            Report = report,
        };
        using var loop = new TrainingLoop(model, training, validation, settings);
        loop.Run();

        return new ShakespeareReport
        {
            Model = modelName,
            ValidationLoss = loop.Log.Records[^1].ValidationLoss!.Value,
            ValidationCharacters = validation.TargetCount,
            VocabularySize = alphabet.Length,
            Parameters = model.Weights.Sum(entry => entry.Weight.numel()),
            Steps = steps,
            LearningRate = learningRate,
            Seed = seed,
            Seconds = loop.Elapsed.TotalSeconds,
            TokensPerSecond = loop.TokensPerSecond,
            Precision = PrecisionChoice.NameOf(model.TrainsInBFloat16),
            Device = device.ToString(),
            Threads = get_num_threads(),
        };
    }

    private static TrainingSettings Settings(double learningRate, int steps, int seed) => new()
    {
        Epochs = 1,
        MaximumSteps = steps,
        BatchSize = BatchSize,
        LearningRate = learningRate,
        Schedule = LearningRateSchedule.Cosine(finalRatio: 0.1),
        WarmupSteps = Math.Min(100, steps / 2),
        Beta1 = 0.9,
        Beta2 = 0.99,
        WeightDecay = 0.1,
        MaximumGradientNorm = 1,
        EvaluationInterval = TrainingInterval.Steps(500),
        Seed = seed,
    };
}
