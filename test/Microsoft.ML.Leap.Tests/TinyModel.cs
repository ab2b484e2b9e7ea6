namespace Microsoft.ML.Leap.Tests;

/// <summary>Settings and data that train in a moment.</summary>
internal static class TinyModel
{
    public static LeapLanguageModelTrainer.Options Options() => new()
    {
        Tokenizer = TokenizerOptions.Bytes(),
        HiddenSize = 16,
        HeadCount = 2,
        LayerCount = 2,
        ContextLength = 16,
        BatchSize = 4,
        Epochs = 2,
        LearningRate = 5e-3,
        Seed = 7,
        UsePositionEmbeddings = true,
        FocusSize = 4,
        Dropout = 0.1,
        WarmupRatio = 0,
        WeightDecay = 0.01,
        MemoryMegabytes = 0,
        Optimizer = TrainingOptimizer.AdamW,
        Device = "cpu",
    };

    /// <summary>Number of weights of a network of these options: nine per block, and five around them.</summary>
    public const int WeightCount = 2 * 9 + 5;

    public static string[] Texts { get; } =
    [
        "the cat sat on the mat",
        "a dog",
        "the quick brown fox jumps over the lazy dog and runs away from the cat that sat on the mat",
        "x",
        "naïve café ☕ 日本",
        "the cat sat on the mat again",
        "one two three four five six seven",
    ];

    public static IDataView View(MLContext context, params string?[] texts) =>
        context.Data.LoadFromEnumerable(texts.Select((text, i) => new Row { Text = text!, Number = i }));

    public static LeapLanguageModelTransformer Fit(MLContext context, Action<LeapLanguageModelTrainer.Options>? change = null)
    {
        LeapLanguageModelTrainer.Options options = Options();
        change?.Invoke(options);
        return context.Leap().LanguageModel(options).Fit(View(context, Texts));
    }

    /// <summary>Makes a torch network of its own with a model's weights, in evaluation.</summary>
    public static LeapModel CopyNetwork(LeapLanguageModelTransformer model)
    {
        var network = new LeapModel(model.Config, TorchSharp.torch.CPU, seed: 0);
        network.SetWeights(model.Model.GetParts().Weights);
        network.eval();
        return network;
    }

    public static ScoredRowView[] Rows(MLContext context, IDataView scored) =>
        [.. context.Data.CreateEnumerable<ScoredRowView>(scored, reuseRowObject: false)];
}
