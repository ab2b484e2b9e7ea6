using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "wikitext2": the protocol of the Python original's notebook, with LEAP or with GPT-2.</summary>
internal static class Wikitext2Command
{
    private const int VocabularySize = 32_100;

    public static System.CommandLine.Command Create()
    {
        var data = new Option<DirectoryInfo>("--data")
        {
            Description = "Folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz",
            Required = true,
        };
        data.AcceptExistingOnly();
        var tokenizer = new Option<FileInfo>("--tokenizer") { Description = "T5's spiece.model", Required = true };
        tokenizer.AcceptExistingOnly();
        var test = new Option<FileInfo>("--test") { Description = "wiki.test.tokens, plain or with .gz, to be measured at the end" };
        test.AcceptExistingOnly();
        Option<int> epochs = PositiveOption.Create("--epochs", "Epochs that the learning rate falls to zero over", 25);
        Option<int?> stopAfter = PositiveOption.Checked(new Option<int?>("--stop-after") { Description = "Epochs to run of them; all by default" });
        var checkpoint = new Option<string?>("--checkpoint") { Description = "Folder of checkpoints; the run goes on from the latest" };
        var seed = new Option<int>("--seed") { Description = "Decides weights, order and dropout", DefaultValueFactory = _ => 1 };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        Option<string> model = ModelChoice.CreateOption();
        Option<string> recipe = NetworkRecipe.CreateOption();
        var dropout = new Option<double?>("--dropout") { Description = "Part of the values that training drops; by default the recipe's" };
        Option<string?> device = ModelChoice.CreateDeviceOption();
        Option<TrainingPrecision> precision = PrecisionChoice.CreateOption(TrainingPrecision.Auto);
        var command = new System.CommandLine.Command("wikitext2", "Train on WikiText-2 by the protocol of the Python original.")
        {
            data, tokenizer, epochs, stopAfter, model, recipe, dropout, test, checkpoint, seed, device, precision, json,
        };
        command.SetAction(result => ReadableErrors.Run(() => Run(
            new Wikitext2Settings
            {
                Folder = result.GetRequiredValue(data).FullName,
                TestFile = result.GetValue(test)?.FullName,
                Tokenizer = LoadTokenizer(result.GetRequiredValue(tokenizer).FullName),
                Model = result.GetRequiredValue(model),
                Recipe = NetworkRecipe.Get(result.GetRequiredValue(recipe)),
                Dropout = result.GetValue(dropout),
                Device = DeviceSelector.Select(result.GetValue(device), null, fallbackToCpu: false, Console.WriteLine),
                Precision = result.GetValue(precision),
                Epochs = result.GetValue(epochs),
                StopAfter = result.GetValue(stopAfter),
                CheckpointFolder = result.GetValue(checkpoint),
                Seed = result.GetValue(seed),
            },
            result.GetValue(json))));
        return command;
    }

    private static void Run(Wikitext2Settings settings, string? json)
    {
        Wikitext2Report report = Wikitext2Run.Run(settings, new ConsoleProgress().Report, Console.WriteLine);
        Print(report);
        if (json is not null)
            JsonReport.Write(json, report);
    }

    private static LeapTokenizer LoadTokenizer(string path)
    {
        LeapTokenizer tokenizer = TokenizerOptions.SentencePiece(path).Create([], CancellationToken.None);
        return tokenizer.VocabularySize == VocabularySize
            ? tokenizer
            : throw new FormatException($"'{path}' has {tokenizer.VocabularySize} token ids, and T5's model {VocabularySize}: it is another one.");
    }

    private static void Print(Wikitext2Report report)
    {
        Console.WriteLine("epoch  validation loss  perplexity");
        for (int epoch = 0; epoch < report.ValidationLoss.Count; epoch++)
        {
            double loss = report.ValidationLoss[epoch];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{epoch + 1,5}  {loss,15:0.0000}  {Math.Exp(loss),10:0.00}"));
        }

        if (report.ValidationLossMemory is double withMemory)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"with memory {withMemory,10:0.0000}  {Math.Exp(withMemory),10:0.00}"));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Model}, {report.Recipe} recipe: {report.Seconds:0} s, {report.TokensPerSecond:0} tokens/s in {report.Precision} on {report.Device} with {report.Threads} threads"));
        if (report.TestPerplexity is double perplexity)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"test perplexity {perplexity:0.00} over {report.TestBlocks} blocks"));
        if (report.TestPerplexityMemory is double mixed)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"test perplexity with memory {mixed:0.00}"));
    }
}

/// <summary>What a run of the WikiText-2 protocol may choose.</summary>
internal sealed record Wikitext2Settings
{
    /// <summary>The folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz.</summary>
    public required string Folder { get; init; }

    public string? TestFile { get; init; }
    public required LeapTokenizer Tokenizer { get; init; }
    public required string Model { get; init; }
    public NetworkRecipe Recipe { get; init; } = NetworkRecipe.Original;

    /// <summary>The part of the values that training drops, from 0 to below 1; <see langword="null"/> for the recipe's. It is
    /// <see cref="Config"/>'s where there is one.</summary>
    public double? Dropout { get; init; }

    public required Device Device { get; init; }
    public required TrainingPrecision Precision { get; init; }

    /// <summary>The epochs that the learning rate is planned for.</summary>
    public required int Epochs { get; init; }

    /// <summary>The epochs that are run of them; <see langword="null"/> for all.</summary>
    public int? StopAfter { get; init; }

    public string? CheckpointFolder { get; init; }
    public required int Seed { get; init; }

    /// <summary>The network by vocabulary, by default of the original's sizes. Its context is the blocks' length.</summary>
    public Func<int, LeapConfig>? Config { get; init; }
}

/// <summary>Trains and measures by the protocol of the Python original's notebook.</summary>
internal static class Wikitext2Run
{
    private const int BatchSize = 2;
    private const int CheckpointSteps = 100;
    private const int ManyEpochs = 10;

    /// <exception cref="FileNotFoundException">A file of the folder is absent.</exception>
    /// <exception cref="InvalidOperationException">A file is too short, or the checkpoint belongs to another run.</exception>
    public static Wikitext2Report Run(Wikitext2Settings settings, Action<TrainingProgress>? report = null, Action<string>? inform = null)
    {
        int vocabularySize = settings.Tokenizer.VocabularySize;
        LeapConfig config = settings.Config?.Invoke(vocabularySize)
            ?? new LeapConfig(
                vocabularySize, dropout: settings.Dropout ?? ChooseDropout(settings.Recipe, settings.Epochs),
                convolutionSize: settings.Recipe.ConvolutionSize, useForgetGates: settings.Recipe.UseForgetGates,
                focusSize: settings.Recipe.FocusSize);
        using TokenStore trainingIds = Pack(Wikitext2Corpus.Find(settings.Folder, "train"));
        using TokenStore validationIds = Pack(Wikitext2Corpus.Find(settings.Folder, "valid"));
        using TokenStore? testIds = settings.TestFile is string file ? Pack(file) : null;
        StreamBlocks training = Blocks(trainingIds);
        StreamBlocks validation = Blocks(validationIds);
        StreamBlocks? test = testIds is null ? null : Blocks((TokenStore)testIds);
        inform?.Invoke($"{training.Count} training, {validation.Count} validation and {test?.Count ?? 0} test blocks");

        using LanguageModelNetwork model = ModelChoice.Create(settings.Model, config, settings.Device, settings.Seed);
        bool isOriginal = settings.Recipe == NetworkRecipe.Original;
        var options = new LeapLanguageModelTrainer.Options
        {
            Epochs = settings.Epochs,
            Precision = PrecisionSelector.Choose(settings.Precision, settings.Device, config.HiddenSize),
            BatchSize = BatchSize,
            Optimizer = settings.Recipe.Optimizer,
            LearningRate = isOriginal ? 5e-4 : 3e-3,
            WarmupRatio = isOriginal ? 0 : 0.02,
            WeightDecay = ChooseWeightDecay(settings.Recipe, settings.Epochs),
            DecayAllWeights = isOriginal,
            KeepBestModel = false,
            Seed = settings.Seed,
            CheckpointFolder = settings.CheckpointFolder,
            CheckpointInterval = TrainingInterval.Steps(CheckpointSteps),
            KeptCheckpoints = 1,
            Resume = true,
            Progress = report,
        };
        using var loop = new TrainingLoop(model, training, validation, options)
        {
            Inform = inform,
            Warn = inform,
            WriteModel = target => Write(target, model, settings.Tokenizer),
        };
        loop.Run(pauseAfterSteps: settings.StopAfter * training.BatchCount(BatchSize));
        MemoryLosses? memory = !isOriginal
            ? MemoryLosses.Measure(model, settings.Tokenizer.EndOfTextId, Read(trainingIds), validation, test)
            : null;

        return new Wikitext2Report
        {
            Model = settings.Model,
            Recipe = settings.Recipe.Name,
            Epochs = settings.Epochs,
            TrainBlocks = training.Count,
            ValidationBlocks = validation.Count,
            ValidationLoss = [.. loop.Records.Select(record => record.ValidationLoss!.Value)],
            ValidationLossMemory = memory?.Validation,
            TokensPerSecond = loop.TokensPerSecond,
            Seconds = loop.Elapsed.TotalSeconds,
            Parameters = model.Weights.Sum(entry => entry.Weight.numel()),
            Dropout = config.Dropout,
            Seed = settings.Seed,
            Precision = PrecisionChoice.GetName(model.TrainsInBFloat16),
            Device = settings.Device.ToString(),
            Threads = get_num_threads(),
            TestBlocks = test?.Count,
            TestPerplexity = test is null ? null : Math.Exp(LanguageModelLoss.Evaluate(model, test, BatchSize, () => { })),
            TestPerplexityMemory = memory?.Test is double testLoss ? Math.Exp(testLoss) : null,
        };

        TokenStore Pack(string path) => Wikitext2Corpus.Pack(path, settings.Tokenizer, config.ContextLength);
        StreamBlocks Blocks(TokenStore ids) => StreamBlocks.Separate(ids, config.ContextLength);
    }

    private static int[] Read(TokenStore ids)
    {
        int[] all = new int[ids.Count];
        ids.Read(0, all);
        return all;
    }

    /// <summary>Chooses the part of the values that training drops: the original's, but of many epochs the default recipe learns the text by heart with so
    /// little (docs/training.md).</summary>
    public static double ChooseDropout(NetworkRecipe recipe, int epochs) => recipe == NetworkRecipe.Default && epochs >= ManyEpochs ? 0.2 : 0.1;

    /// <summary>Chooses the weight decay: the original's, or as the library does, and twice as much of many epochs.</summary>
    public static double ChooseWeightDecay(NetworkRecipe recipe, int epochs) => recipe == NetworkRecipe.Original ? 0.01 : epochs >= ManyEpochs ? 0.6 : 0.3;

    // A LEAP checkpoint can be loaded as a model; of the baseline there are the weights alone.
    private static void Write(IModelTarget target, LanguageModelNetwork model, LeapTokenizer tokenizer)
    {
        if (model is LeapModel leap)
        {
            new ModelParts(leap.Config, leap.GetWeights(), tokenizer, null).Write(target);
            return;
        }

        Dictionary<string, Tensor> weights = model.Weights.ToDictionary(entry => entry.Name, entry => (Tensor)entry.Weight);
        target.Write(ModelFileNames.Weights, stream => TensorFiles.Write(stream, weights));
    }
}

/// <summary>WikiText-2 in blocks, as the notebook of the Python original cuts it.</summary>
internal static class Wikitext2Corpus
{
    private const int LinesPerGroup = 1000;

    /// <summary>Packs blocks of a file's lines: an end token after each line, and of every 1,000 lines the ids that fill no whole block
    /// left out.</summary>
    /// <param name="path">The file; unpacked where its name ends with .gz.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="blockSize">Ids of a block.</param>
    /// <returns>A whole number of blocks, at least one; the caller disposes them.</returns>
    /// <exception cref="InvalidOperationException">There is not one whole block.</exception>
    public static TokenStore Pack(string path, LeapTokenizer tokenizer, int blockSize)
    {
        using var builder = new TokenStoreBuilder(tokenizer.VocabularySize);
        List<int> ids = [];
        foreach (string[] group in TextFile.ReadLines(path).Chunk(LinesPerGroup))
        {
            ids.Clear();
            foreach (string line in group)
            {
                tokenizer.Encode(line, ids);
                ids.Add(tokenizer.EndOfTextId);
            }

            builder.Append(CollectionsMarshal.AsSpan(ids)[..(ids.Count / blockSize * blockSize)]);
        }

        return builder.Count > 0
            ? builder.Build()
            : throw new InvalidOperationException($"'{path}' makes no whole block of {blockSize} tokens; it is not WikiText-2.");
    }

    /// <summary>Finds a split's file, plain or packed.</summary>
    /// <exception cref="FileNotFoundException">There is neither.</exception>
    public static string Find(string folder, string split)
    {
        string plain = Path.Combine(folder, $"wiki.{split}.tokens");
        return new[] { plain, plain + ".gz" }.FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"There is neither '{plain}' nor '{plain}.gz'.");
    }
}

/// <summary>What a run of the WikiText-2 protocol found.</summary>
public sealed record Wikitext2Report
{
    public required string Model { get; init; }

    /// <summary>"original" or "default".</summary>
    public required string Recipe { get; init; }

    /// <summary>The epochs that the learning rate is planned for; there are as many losses as epochs were run.</summary>
    public required int Epochs { get; init; }

    public required int TrainBlocks { get; init; }
    public required int ValidationBlocks { get; init; }

    /// <summary>Nats per token over all validation blocks after each epoch.</summary>
    public required IReadOnlyList<double> ValidationLoss { get; init; }

    /// <summary>The last one, of LEAP in the default recipe with counted n-grams beside the network.</summary>
    public double? ValidationLossMemory { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>Training and evaluations, in all parts of a resumed run.</summary>
    public required double Seconds { get; init; }

    public required long Parameters { get; init; }

    /// <summary>The part of the values that training dropped.</summary>
    public required double Dropout { get; init; }

    public required int Seed { get; init; }

    /// <summary>Of matrix products while training.</summary>
    public required string Precision { get; init; }

    public required string Device { get; init; }
    public required int Threads { get; init; }
    public int? TestBlocks { get; init; }
    public double? TestPerplexity { get; init; }
    public double? TestPerplexityMemory { get; init; }
}

/// <summary>The protocol of the verb "wikitext2", for a notebook: LEAP and GPT-2 on the same texts, by the same trainer.</summary>
public static class Wikitext2Comparison
{
    /// <summary>Trains one of the two networks and measures its validation loss after each epoch.</summary>
    /// <param name="model">"leap" or "gpt2".</param>
    /// <param name="folder">The folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz.</param>
    /// <param name="tokenizer">The tokenizer; what it learns, it learns from the training lines.</param>
    /// <param name="config">Makes the network's sizes for a vocabulary.</param>
    /// <param name="epochs">The epochs, from 1.</param>
    /// <param name="report">Called after each step, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="model"/> is neither.</exception>
    /// <exception cref="FileNotFoundException">A file of the folder is absent.</exception>
    /// <exception cref="InvalidOperationException">A file is too short.</exception>
    public static Wikitext2Report Train(
        string model,
        string folder,
        TokenizerOptions tokenizer,
        Func<int, LeapConfig> config,
        int epochs,
        Action<TrainingProgress>? report = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(epochs);
        if (model is not (ModelChoice.Leap or ModelChoice.Gpt2))
            throw new ArgumentException($"'{model}' is no network; expected {ModelChoice.Leap} or {ModelChoice.Gpt2}.", nameof(model));

        IEnumerable<string> lines = TextFile.ReadLines(Wikitext2Corpus.Find(folder, "train"));
        var settings = new Wikitext2Settings
        {
            Folder = folder,
            Tokenizer = tokenizer.Create(lines.Select(line => line.AsMemory()), CancellationToken.None),
            Model = model,
            Device = DeviceSelector.Select(null, null, fallbackToCpu: false, Console.WriteLine),
            Precision = TrainingPrecision.Auto,
            Epochs = epochs,
            Seed = 1,
            Config = config,
        };
        return Wikitext2Run.Run(settings, report);
    }
}
