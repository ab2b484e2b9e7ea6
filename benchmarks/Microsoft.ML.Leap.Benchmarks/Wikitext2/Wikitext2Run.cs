using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Trains and measures by the protocol of the Python original's notebook.</summary>
internal static class Wikitext2Run
{
    private const int BatchSize = 2;
    private const int CheckpointSteps = 100;

    /// <exception cref="FileNotFoundException">A file of the folder is absent.</exception>
    /// <exception cref="InvalidOperationException">A file is too short, or the checkpoint belongs to another run.</exception>
    public static Wikitext2Report Run(Wikitext2Settings settings, Action<TrainingProgress>? report = null, Action<string>? inform = null)
    {
        LeapConfig config = settings.Config(settings.Tokenizer.VocabularySize);
        using TokenStore trainingIds = Pack(Wikitext2Corpus.Find(settings.Folder, "train"));
        using TokenStore validationIds = Pack(Wikitext2Corpus.Find(settings.Folder, "valid"));
        using TokenStore? testIds = settings.TestFile is string file ? Pack(file) : null;
        StreamBlocks training = Blocks(trainingIds);
        StreamBlocks validation = Blocks(validationIds);
        StreamBlocks? test = testIds is null ? null : Blocks((TokenStore)testIds);
        inform?.Invoke($"{training.Count} training, {validation.Count} validation and {test?.Count ?? 0} test blocks");

        using LanguageModelNetwork model = ModelChoice.Create(settings.Model, config, settings.Device, settings.Seed);
        TrainingSettings plan = Plan(settings, training.Count, model) with { Report = report, Inform = inform, Warn = inform };
        using var loop = new TrainingLoop(model, training, validation, plan);
        loop.Run();

        return new Wikitext2Report
        {
            Model = settings.Model,
            Epochs = settings.Epochs,
            TrainBlocks = training.Count,
            ValidationBlocks = validation.Count,
            ValidationLoss = [.. loop.Log.Records.Select(record => record.ValidationLoss!.Value)],
            TokensPerSecond = loop.TokensPerSecond,
            Seconds = loop.Elapsed.TotalSeconds,
            Parameters = model.Weights.Sum(entry => entry.Weight.numel()),
            Seed = settings.Seed,
            Precision = PrecisionChoice.NameOf(model.TrainsInBFloat16),
            Device = settings.Device.ToString(),
            Threads = get_num_threads(),
            TestBlocks = test?.Count,
            TestPerplexity = test is null ? null : Math.Exp(LanguageModelLoss.Evaluate(model, test, BatchSize, () => { })),
        };

        TokenStore Pack(string path) => Wikitext2Corpus.Pack(path, settings.Tokenizer, config.ContextLength);
        StreamBlocks Blocks(TokenStore ids) => StreamBlocks.Separate(ids, config.ContextLength);
    }

    private static TrainingSettings Plan(Wikitext2Settings settings, int blockCount, LanguageModelNetwork model) => new()
    {
        Epochs = settings.Epochs,
        UsesBFloat16 = PrecisionSelector.UsesBFloat16(settings.Precision, settings.Device, model.Config.HiddenSize),
        PauseAfterSteps = settings.StopAfter * (((long)blockCount + BatchSize - 1) / BatchSize),
        BatchSize = BatchSize,
        LearningRate = 5e-4,
        Beta1 = 0.9,
        Beta2 = 0.999,
        WeightDecay = 0.01,
        DecayAllWeights = true,
        MaximumGradientNorm = 1,
        Seed = settings.Seed,
        Checkpoints = settings.CheckpointFolder is not string folder
            ? null
            : new CheckpointSettings(
                folder, TrainingInterval.Steps(CheckpointSteps), Kept: 1, Resume: true,
                target => Write(target, model, settings.Tokenizer)),
    };

    // A LEAP checkpoint can be loaded as a model; of the baseline there are the weights alone.
    private static void Write(IModelTarget target, LanguageModelNetwork model, LeapTokenizer tokenizer)
    {
        if (model is LeapModel leap)
        {
            ModelFiles.Write(target, leap, tokenizer);
            return;
        }

        Dictionary<string, Tensor> weights = model.Weights.ToDictionary(entry => entry.Name, entry => (Tensor)entry.Weight);
        target.Write(ModelFileNames.Weights, stream => SafeTensorsWriter.Write(stream, weights));
    }
}
