using System.CommandLine;
using System.Globalization;
using QuickStart;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "faithfulness": whether the tokens with the most focus are those that the model uses.</summary>
internal static class FaithfulnessCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var picture = new Option<FileInfo?>("--picture") { Description = "File for an SVG of a held-out text" };
        var texts = new Option<FileInfo>("--texts") { Description = "Texts, one per line, in place of the .NET documentation" };
        texts.AcceptExistingOnly();
        Option<int> characters = PositiveOption.Create("--characters", "Characters to train the text model on", 3_000_000);
        Option<int> count = PositiveOption.Create("--count", "Texts, and sequences, that tokens are removed from; at least 2", 300);
        Option<int> context = PositiveOption.Create("--context", "The text model's context", 256);
        Option<int> steps = PositiveOption.Create("--planted-steps", "Steps of each model of planted keys", 1500);
        Option<int> sequences = PositiveOption.Create("--sequences", "Planted keys asked for at each distance", 400);
        var distances = new Option<int[]>("--distances")
        {
            Description = "Places from key to question",
            DefaultValueFactory = _ => [50, 100, 200, 500, 1000, 2000],
            AllowMultipleArgumentsPerToken = true,
        };
        distances.Validators.Add(option =>
        {
            if (option.GetValueOrDefault<int[]>() is not { Length: > 0 } given || given.Any(distance => distance < 1))
                option.AddError("--distances must each be at least 1.");
        });
        var seed = new Option<int>("--seed") { Description = "Decides weights and draws", DefaultValueFactory = _ => 1 };
        var command = new System.CommandLine.Command("faithfulness", "Remove focused tokens and watch the loss; find planted keys.")
        {
            json, picture, texts, characters, count, context, steps, sequences, distances, seed,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            FaithfulnessReport report = new FaithfulnessBenchmark(new FaithfulnessSettings
            {
                Picture = result.GetValue(picture),
                Texts = result.GetValue(texts),
                Characters = result.GetValue(characters),
                TextCount = Math.Max(2, result.GetValue(count)),
                ContextLength = result.GetValue(context),
                PlantedSteps = result.GetValue(steps),
                Distances = result.GetRequiredValue(distances),
                Sequences = result.GetValue(sequences),
                Seed = result.GetValue(seed),
            }).Run();
            report.Write();
            if (result.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        }));
        return command;
    }
}

/// <summary>The sizes of the verb "faithfulness".</summary>
internal sealed record FaithfulnessSettings
{
    public required FileInfo? Texts { get; init; }
    public required int Characters { get; init; }
    public required int TextCount { get; init; }
    public required int ContextLength { get; init; }
    public required int PlantedSteps { get; init; }
    public required int[] Distances { get; init; }
    public required int Sequences { get; init; }
    public required FileInfo? Picture { get; init; }
    public required int Seed { get; init; }
}

/// <summary>Measures whether focus tells what the model uses: on the quick start's model, and on one that must remember a key.</summary>
internal sealed class FaithfulnessBenchmark(FaithfulnessSettings settings)
{
    private const int LeastTokens = 32;
    private const int KeptNearest = 8;

    public FaithfulnessReport Run()
    {
        (string[] training, string[] held) = Documents();
        var context = new MLContext(settings.Seed);
        using LeapLanguageModelTransformer model = Train(context, training);
        LeapNetwork network = model.Model.Network;
        DeletionCase[] cases = Cases(held, model);
        if (settings.Picture is FileInfo picture)
            model.Explain(held.First(text => text.Length is > 150 and < 300)).SaveSvg(picture.FullName);
        DeletionReport deletion = DeletionReport.Measure(network, cases, settings.Seed);
        var test = new DeletionTest(network, cases, settings.Seed);
        using LeapNetwork untrained = Untrained(model.Config);

        (PlantedKeyResult[] planted, DeletionReport plantedDeletion, int distance) = PlantedKey();
        return new FaithfulnessReport
        {
            Machine = MachineFacts.Collect(),
            TextModel = model.Config.ToString(),
            TextModelLoss = cases.Average(item => FocusReader.Read(network, item.Ids, 0, 0).Losses.Average()),
            Texts = cases.Length,
            MostFocused = deletion.MostFocused,
            Random = deletion.Random,
            LeastFocused = deletion.LeastFocused,
            TextDeletion = deletion,
            FarTextDeletion = DeletionReport.Measure(
                network, [.. cases.Select(item => item with { RemovableCount = item.RemovableCount - KeptNearest })], settings.Seed),
            FarTextDeletionKept = KeptNearest,
            MostFocusedWithoutGates = Curve(test, item => FocusRanking.WithoutGates(network, item)),
            MostByMeanShare = Curve(test, item => FocusRanking.MeanShare(network, item)),
            CorrelationWithRandomWeights = Interval.FromSamples([.. cases.Select(item =>
                FocusRanking.SpearmanCorrelation(FocusRanking.Focus(network, item), FocusRanking.Focus(untrained, item)))]),
            MostFocusedByRandomWeights = Curve(test, item => FocusRanking.Focus(untrained, item)),
            PlantedKey = planted,
            PlantedKeyDeletion = plantedDeletion,
            PlantedKeyDeletionDistance = distance,
        };
    }

    private LeapNetwork Untrained(LeapConfig config)
    {
        using var network = new LeapModel(config, TorchSharp.torch.CPU, settings.Seed + 1);
        return new LeapNetwork(config, network.GetWeights());
    }

    private static DeletionCurve Curve(DeletionTest test, Func<DeletionCase, double[]> rank) =>
        DeletionCurve.FromRises(DeletionTest.Fractions, test.Rises(rank));

    // As the quick start does it: shuffled by seed 1, a fiftieth held out, and of the rest as many characters as the budget allows.
    private (string[] Training, string[] Held) Documents()
    {
        string[] documents = settings.Texts is FileInfo file
            ? [.. TextFile.ReadLines(file.FullName).Where(line => !string.IsNullOrWhiteSpace(line))]
            : [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(documents);
        int heldCount = Math.Max(1, documents.Length / 50);
        long sum = 0;
        string[] training = [.. documents[heldCount..].TakeWhile(text => (sum += text.Length) <= settings.Characters)];

        // What the budget leaves out was not trained on either.
        return (training, [.. documents[..heldCount], .. documents[(heldCount + training.Length)..]]);
    }

    private LeapLanguageModelTransformer Train(MLContext context, string[] training)
    {
        Console.WriteLine($"Training on {training.Length.ToString("N0", CultureInfo.InvariantCulture)} texts.");
        return context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize: 4096),
            ContextLength = settings.ContextLength,
            UsePositionEmbeddings = true,
            ConvolutionSize = 0,
            UseForgetGates = false,
            HiddenSize = 128,
            FocusSize = 32,
            LayerCount = 6,
            Layout = TrainingLayout.Stream,
            BatchSize = 8,
            Epochs = 1,
            Dropout = 0,
            MemoryMegabytes = 0,
            Optimizer = TrainingOptimizer.AdamW,
            LearningRate = 2e-3,
            WarmupRatio = 0,
            ValidationFraction = 0,
            Device = "cpu",
            Progress = new ConsoleProgress().Report,
        }).Fit(context.Data.LoadFromEnumerable(training.Select(text => new Document { Text = text })));
    }

    // The first half of a text may be thinned out, the second half is what follows.
    private DeletionCase[] Cases(string[] held, LeapLanguageModelTransformer model)
    {
        DeletionCase[] cases = [.. held
            .Select(text => (int[])[model.Tokenizer.EndOfTextId, .. model.Tokenizer.Encode(text)])
            .Where(ids => ids.Length > LeastTokens && ids.Length <= model.Config.ContextLength)
            .Take(settings.TextCount)
            .Select(ids => new DeletionCase(ids, (ids.Length - 1) / 2, (ids.Length - 1) / 2 + 1))];
        return cases.Length >= 2
            ? cases
            : throw new InvalidOperationException(
                $"At least 2 held-out texts of {LeastTokens} to {model.Config.ContextLength - 1} tokens are needed, but there are {cases.Length}.");
    }

    private (PlantedKeyResult[] Results, DeletionReport Deletion, int Distance) PlantedKey()
    {
        using PlantedKeyModel global = Trained(isGlobal: true);
        using PlantedKeyModel local = Trained(isGlobal: false);
        PlantedKeyResult[] results = [.. settings.Distances.Select(distance => new PlantedKeyResult(
            distance,
            global.Accuracy(distance, settings.Sequences, new Random(settings.Seed + 1)),
            local.Accuracy(distance, settings.Sequences, new Random(settings.Seed + 1)),
            PlantedKeyTask.Chance,
            global.KeyShare(distance, Math.Min(settings.Sequences, 50), new Random(settings.Seed + 2)),
            1.0 / (distance + 2)))];

        int middle = settings.Distances.Order().ElementAt(settings.Distances.Length / 2);
        var random = new Random(settings.Seed + 3);
        DeletionCase[] cases = [.. Enumerable.Range(0, settings.TextCount).Select(_ =>
            new DeletionCase(PlantedKeyTask.Make(random, middle), middle, middle + 2))];
        return (results, DeletionReport.Measure(global.Engine, cases, settings.Seed), middle);
    }

    private PlantedKeyModel Trained(bool isGlobal)
    {
        Console.WriteLine($"Training the {(isGlobal ? "global" : "local-only")} model on planted keys.");
        var model = new PlantedKeyModel(settings.Distances, isGlobal, settings.Seed);
        model.Train(settings.PlantedSteps);
        return model;
    }
}

/// <summary>What the verb "faithfulness" measured. The curves at the top are the text model's.</summary>
internal sealed record FaithfulnessReport
{
    public required MachineFacts Machine { get; init; }
    public required string TextModel { get; init; }
    public required double TextModelLoss { get; init; }
    public required int Texts { get; init; }
    public required DeletionCurve MostFocused { get; init; }
    public required DeletionCurve Random { get; init; }
    public required DeletionCurve LeastFocused { get; init; }
    public required DeletionReport TextDeletion { get; init; }

    /// <summary>Gets the curves where the tokens right before what follows are never removed: without the advantage of being near.</summary>
    public required DeletionReport FarTextDeletion { get; init; }

    public required int FarTextDeletionKept { get; init; }

    /// <summary>Gets the curves of other aggregates than the report's: without gates; and mean shares alone.</summary>
    public required DeletionCurve MostFocusedWithoutGates { get; init; }

    public required DeletionCurve MostByMeanShare { get; init; }

    /// <summary>Gets the rank correlation of the focus with that of a network of the same shape with random weights, over texts.</summary>
    public required Interval CorrelationWithRandomWeights { get; init; }

    /// <summary>Gets the trained network's curve when a network with random weights says which tokens go.</summary>
    public required DeletionCurve MostFocusedByRandomWeights { get; init; }

    public required IReadOnlyList<PlantedKeyResult> PlantedKey { get; init; }
    public required DeletionReport PlantedKeyDeletion { get; init; }
    public required int PlantedKeyDeletionDistance { get; init; }

    public void Write()
    {
        Machine.Write();
        AnsiConsole.WriteLine($"{TextModel}; loss {TextModelLoss:0.000} nats per token; {Texts} texts.");
        WriteCurves("text model", TextDeletion);
        AnsiConsole.WriteLine($"  most focused, without gates {MostFocusedWithoutGates}; by mean share {MostByMeanShare}");
        AnsiConsole.WriteLine($"  random weights: rank correlation {CorrelationWithRandomWeights}; most focused by them {MostFocusedByRandomWeights}");
        WriteCurves($"text model, the nearest {FarTextDeletionKept} tokens kept", FarTextDeletion);
        WriteCurves($"planted key, distance {PlantedKeyDeletionDistance}", PlantedKeyDeletion);
        Table table = new Table().AddColumns("distance", "global", "local only", "chance", "key's share", "even share");
        foreach (PlantedKeyResult row in PlantedKey)
        {
            table.AddRow(
                $"{row.Distance}", $"{row.AccuracyGlobal:0.000}", $"{row.AccuracyLocalOnly:0.000}", $"{row.Chance:0.000}", $"{row.KeyShare:0.000}",
                $"{row.EvenShare:0.00000}");
        }

        AnsiConsole.Write(table);
    }

    private static void WriteCurves(string name, DeletionReport report)
    {
        AnsiConsole.WriteLine($"{name}: rise of the loss in nats per token, mean and 95 % interval over {report.Texts} texts");
        AnsiConsole.WriteLine($"  most focused {report.MostFocused}, random {report.Random}, least focused {report.LeastFocused}");
        AnsiConsole.WriteLine($"  most less random {report.MostLessRandom}; random less least {report.RandomLessLeast}");
        AnsiConsole.WriteLine($"  most recent {report.MostRecent}; most focused by the continuation {report.MostFocusedByContinuation}");
    }
}
