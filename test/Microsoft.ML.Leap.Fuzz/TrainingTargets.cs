using TorchSharp;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>What ML.NET's zip has beside the engine's files, and the checkpoints of a training.</summary>
internal static class TrainingTargets
{
    private const int Steps = 2;

    private static readonly MLContext _context = new(seed: 1);
    private static readonly LeapConfig _config = new(5, hiddenSize: 4, contextLength: 4, layerCount: 1, headCount: 1);
    private static readonly string[] _checkpointNames = [ModelFileNames.Weights, "optimizer.safetensors", HistoryCsv.FileName, "training.json", ModelFileNames.Manifest];

    public static FuzzTarget[] All { get; } =
    [
        new("settings", "leap.json", input => ReadFile(ModelFileNames.Settings, input)),
        new("recipe", "recipe.json", input => ReadFile(ModelFileNames.Recipe, input)),
        new("history", "history.csv", input => ReadFile(HistoryCsv.FileName, input)),
        new("entries", "entries of ML.NET's zip in place of a whole model's, each after a line '@@ name'", ReadEntries),
        new("checkpoint", "the folder of a training's checkpoint: its files, each after a line '@@ name'", ReadCheckpoint) { Mutations = 150 },
    ];

    /// <summary>Gets the files that <c>mlContext.Model.Save</c> adds to the engine's.</summary>
    public static IReadOnlyDictionary<string, byte[]> Files { get; } = WriteFiles();

    /// <summary>Saves the model as a zip.</summary>
    public static byte[] WriteZip()
    {
        using LeapLanguageModelTransformer transformer = CreateTransformer();
        using var stream = new MemoryStream();
        _context.Model.Save(transformer, null, stream);
        return stream.ToArray();
    }

    /// <summary>Trains one step, and gives the files of the checkpoint.</summary>
    public static Dictionary<string, byte[]> WriteCheckpoint()
    {
        using var folder = new ScratchFolder();
        Train(folder.Path, resume: false, pauseAfter: 1);
        string[] files = Directory.GetFiles(Directory.GetDirectories(folder.Path).Single());
        return files.ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);
    }

    private static void ReadFile(string name, byte[] input) => Read(MemoryFiles.With(Files, name, input));

    private static void ReadEntries(byte[] input)
    {
        var files = new Dictionary<string, byte[]>(Files);
        foreach ((string name, byte[] content) in Bundle.Read(input, [.. Files.Keys]))
            files[name] = content;
        Read(new MemoryFiles(files));
    }

    private static void Read(MemoryFiles files)
    {
        using LeapLanguageModelTransformer transformer = LeapLanguageModelTransformer.Load(_context, files);
        Use.Transformer(_context, transformer);
        using var stream = new MemoryStream();
        HistoryCsv.Write(stream, transformer.History.Records);
        stream.Position = 0;
        if (!HistoryCsv.Read(stream).SequenceEqual(transformer.History.Records))
            throw new FuzzFault("The history that was saved is another one.");
    }

    private static void ReadCheckpoint(byte[] input)
    {
        using var folder = new ScratchFolder();
        string checkpoint = Directory.CreateDirectory(Path.Combine(folder.Path, "step-0000000001")).FullName;
        foreach ((string name, byte[] content) in Bundle.Read(input, _checkpointNames))
            File.WriteAllBytes(Path.Combine(checkpoint, name), content);
        try
        {
            Train(folder.Path, resume: true, pauseAfter: null);
        }
        catch (FileNotFoundException e)
        {
            // Documented: a needed file is not there.
            throw new FormatException(e.Message, e);
        }
        catch (InvalidOperationException e) when (e.Message.Contains("another run", StringComparison.Ordinal)
            || e.Message.StartsWith("The training loss or its gradient", StringComparison.Ordinal))
        {
            // Documented: the checkpoint tells of other options, or its weights are finite and useless.
            throw new FormatException(e.Message, e);
        }
    }

    private static void Train(string folder, bool resume, long? pauseAfter)
    {
        NativeBackend.EnsureLoaded();
        var options = new LeapLanguageModelTrainer.Options
        {
            MaximumSteps = Steps,
            Epochs = 1,
            BatchSize = 2,
            LearningRate = 1e-3,
            WarmupRatio = 0,
            WeightDecay = 0.01,
            KeepBestModel = true,
            Precision = TrainingPrecision.Float32,
            Optimizer = TrainingOptimizer.AdamW,
            Seed = 1,
            CheckpointFolder = folder,
            CheckpointInterval = TrainingInterval.Steps(1),
            Resume = resume,
        };
        using TokenStore ids = TokenStore.Pack([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0]);
        using var network = new LeapModel(_config, torch.CPU, 1);
        var blocks = new StreamBlocks(ids, _config.ContextLength);
        using var loop = new TrainingLoop(network, blocks, blocks, options)
        {
            WriteModel = target => target.Write(ModelFileNames.Weights, stream => Checkpoint.Write(stream, _config, network.GetWeights())),
        };
        loop.Run(pauseAfter);
    }

    private static Dictionary<string, byte[]> WriteFiles()
    {
        using LeapLanguageModelTransformer transformer = CreateTransformer();
        var target = new MemoryTarget();
        transformer.Write(target);
        return target.Files;
    }

    private static LeapLanguageModelTransformer CreateTransformer()
    {
        var settings = new ScoringSettings
        {
            TextColumnName = "Text",
            LogLikelihoodColumnName = "LogLikelihood",
            TokenCountColumnName = "TokenCount",
            PerplexityColumnName = "Perplexity",
            GeneratedTextColumnName = "GeneratedText",
            TokensColumnName = "Tokens",
            FocusWeightsColumnName = "FocusWeights",
            TokenLogLikelihoodsColumnName = "TokenLogLikelihoods",
            EmbeddingColumnName = "Embedding",
            TokensPerBatch = 64,
            Generation = new GenerationOptions { MaximumNewTokens = 3 },
            GenerationSeed = 1,
        };
        var records = new[] { 1, 2 }.Select(step => new TrainingRecord
        {
            Epoch = step,
            Step = step,
            TrainingLoss = 5.5 / step,
            ValidationLoss = 5.75 / step,
            LearningRate = 1e-3,
            GradientNorm = 0.5,
            SkippedSteps = 0,
            Tokens = 100 * step,
            Elapsed = TimeSpan.FromSeconds(step),
        });
        var recipe = new TrainingRecipe
        {
            RowCount = 1,
            ByteCount = 22,
            VocabularySize = 257,
            HiddenSize = 8,
            LayerCount = 2,
            HeadCount = 2,
            ContextLength = 16,
            ConvolutionSize = 2,
            BatchSize = 1,
            Epochs = 2,
            LearningRate = 1e-3,
            WarmupRatio = 0,
            Dropout = 0.1,
            MemoryMegabytes = 1,
            ValidationFraction = 0,
            EarlyStoppingPatience = null,
        };
        return new LeapLanguageModelTransformer(
            _context, new LeapLanguageModel(SeedModel.CreateParts(SeedModel.Config), SeedModel.Options), settings, history: new TrainingHistory([.. records]),
            recipe: recipe);
    }
}
