using System.CommandLine;
using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "shakespeare": a character-level model on nanoGPT's small budget.</summary>
internal static class ShakespeareCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data") { Description = "The text, in UTF-8; unpacked where its name ends with .gz", Required = true };
        data.AcceptExistingOnly();
        var steps = PositiveOption.Create("--steps", "Optimizer steps", 2000);
        Option<string> recipe = NetworkRecipe.CreateOption();
        var learningRate = new Option<double?>("--learning-rate")
        {
            Description = "The greatest, from which a cosine falls to a tenth; by default the recipe's; nanoGPT has 1e-3",
        };
        learningRate.Validators.Add(result =>
        {
            if (!(result.GetValueOrDefault<double?>() is null or (> 0 and < double.PositiveInfinity)))
                result.AddError("--learning-rate must be over 0 and finite.");
        });
        var seed = new Option<int>("--seed") { Description = "Decides weights and order", DefaultValueFactory = _ => 1 };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        Option<string> model = ModelChoice.CreateOption();
        Option<string?> device = ModelChoice.CreateDeviceOption();

        // What nanoGPT uses on a CPU.
        Option<TrainingPrecision> precision = PrecisionChoice.CreateOption(TrainingPrecision.Float32);
        var command = new System.CommandLine.Command("shakespeare", "Train a character-level model on nanoGPT's small budget.")
        {
            data, model, recipe, steps, learningRate, seed, device, precision, json,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            Device chosen = DeviceSelector.Select(result.GetValue(device), null, fallbackToCpu: false, Console.WriteLine);
            NetworkRecipe named = NetworkRecipe.Get(result.GetRequiredValue(recipe));
            ShakespeareReport report = ShakespeareRun.Run(
                TextFile.ReadAll(result.GetRequiredValue(data).FullName), result.GetRequiredValue(model),
                named, result.GetValue(learningRate) ?? ShakespeareRun.GetLearningRate(named), chosen,
                result.GetValue(precision), result.GetValue(steps), result.GetValue(seed),
                new ConsoleProgress().Report);
            Print(report);
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    private static void Print(ShakespeareReport report)
    {
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Model}, {report.Recipe} recipe: validation loss {report.ValidationLoss:0.0000} nats per character over {report.ValidationCharacters} characters after " +
            $"{report.Steps} steps; {report.Seconds:0} s, {report.TokensPerSecond:0} tokens/s in {report.Precision} on {report.Device} with {report.Threads} threads"));
        if (report.ValidationLossMemory is double withMemory)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"with memory {withMemory:0.0000} nats per character"));
    }
}

/// <summary>nanoGPT's small budget on the characters of a text: 4 layers, 4 heads, hidden size 128, context 64, batches of 12, no
/// dropout.</summary>
/// <remarks>The first 90 % of the characters are for training, the rest for validation. nanoGPT draws each training window at random; here
/// they are the consecutive blocks of the text, in a new order each epoch.</remarks>
internal static class ShakespeareRun
{
    private const int ContextLength = 64;
    private const int BatchSize = 12;

    public static double GetLearningRate(NetworkRecipe recipe) => recipe == NetworkRecipe.Original ? 2e-3 : 4e-3;

    public static ShakespeareReport Run(
        string text, string modelName, NetworkRecipe recipe, double learningRate, Device device, TrainingPrecision precision, int steps, int seed,
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
        var config = new LeapConfig(
            alphabet.Length, 128, ContextLength, layerCount: 4, headCount: 4, dropout: 0,
            convolutionSize: recipe.ConvolutionSize, useForgetGates: recipe.UseForgetGates, focusSize: recipe.FocusSize);
        using LanguageModelNetwork model = ModelChoice.Create(modelName, config, device, seed);
        var options = new LeapLanguageModelTrainer.Options
        {
            Epochs = 1,
            MaximumSteps = steps,
            BatchSize = BatchSize,
            Precision = PrecisionSelector.Choose(precision, device, config.HiddenSize),
            LearningRate = learningRate,
            Optimizer = recipe.Optimizer,
            Schedule = LearningRateSchedule.Cosine(finalRatio: 0.1),
            WarmupSteps = Math.Min(100, steps / 2),
            WarmupRatio = 0,
            Beta2 = 0.99,
            WeightDecay = 0.1,
            EvaluationInterval = TrainingInterval.Steps(500),
            KeepBestModel = false,
            Seed = seed,
            Progress = report,
        };
        using var loop = new TrainingLoop(model, training, validation, options);
        loop.Run();
        int lineEnd = Array.BinarySearch(alphabet, '\n');
        MemoryLosses? memory = recipe == NetworkRecipe.Default && lineEnd >= 0
            ? MemoryLosses.Measure(model, lineEnd, ids[..trainingCount], validation)
            : null;

        return new ShakespeareReport
        {
            Model = modelName,
            Recipe = recipe.Name,
            ValidationLoss = loop.Records[^1].ValidationLoss!.Value,
            ValidationLossMemory = memory?.Validation,
            ValidationCharacters = validation.TargetCount,
            VocabularySize = alphabet.Length,
            Parameters = model.Weights.Sum(entry => entry.Weight.numel()),
            Steps = steps,
            LearningRate = learningRate,
            Seed = seed,
            Seconds = loop.Elapsed.TotalSeconds,
            TokensPerSecond = loop.TokensPerSecond,
            Precision = PrecisionChoice.GetName(model.TrainsInBFloat16),
            Device = device.ToString(),
            Threads = get_num_threads(),
        };
    }
}

/// <summary>What the verb "shakespeare" found.</summary>
internal sealed record ShakespeareReport
{
    public required string Model { get; init; }
    public required string Recipe { get; init; }

    /// <summary>Nats per character over the whole validation split, each character predicted once.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>The same with the counted n-grams of the training split beside the network: in the default recipe, of a text of several lines.</summary>
    public double? ValidationLossMemory { get; init; }

    public required long ValidationCharacters { get; init; }
    public required int VocabularySize { get; init; }
    public required long Parameters { get; init; }
    public required int Steps { get; init; }
    public required double LearningRate { get; init; }
    public required int Seed { get; init; }

    /// <summary>Training and evaluations together.</summary>
    public required double Seconds { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>Of matrix products while training.</summary>
    public required string Precision { get; init; }

    public required string Device { get; init; }
    public required int Threads { get; init; }
}
