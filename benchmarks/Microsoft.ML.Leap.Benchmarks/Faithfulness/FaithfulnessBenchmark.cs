using System.Globalization;
using QuickStart;

namespace Microsoft.ML.Leap.Benchmarks;

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
        using LeapModel network = model.CopyNetwork(TorchSharp.torch.CPU, settings.Seed);
        network.eval();
        DeletionCase[] cases = Cases(held, model);
        if (settings.Picture is FileInfo picture)
            model.Explain(held.First(text => text.Length is > 150 and < 300)).SaveSvg(picture.FullName);
        DeletionReport deletion = DeletionReport.Of(network, cases, settings.Seed);
        var test = new DeletionTest(network, cases, settings.Seed);
        using var untrained = new LeapModel(model.Config, TorchSharp.torch.CPU, settings.Seed + 1);
        untrained.eval();

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
            FarTextDeletion = DeletionReport.Of(
                network, [.. cases.Select(item => item with { RemovableCount = item.RemovableCount - KeptNearest })], settings.Seed),
            FarTextDeletionKept = KeptNearest,
            MostFocusedWithoutGates = Curve(test, item => FocusRanking.WithoutGates(network, item)),
            MostByMeanShare = Curve(test, item => FocusRanking.MeanShare(network, item)),
            CorrelationWithRandomWeights = Interval.Of([.. cases.Select(item =>
                FocusRanking.SpearmanCorrelation(FocusRanking.Focus(network, item), FocusRanking.Focus(untrained, item)))]),
            MostFocusedByRandomWeights = Curve(test, item => FocusRanking.Focus(untrained, item)),
            PlantedKey = planted,
            PlantedKeyDeletion = plantedDeletion,
            PlantedKeyDeletionDistance = distance,
        };
    }

    private static DeletionCurve Curve(DeletionTest test, Func<DeletionCase, double[]> rank) =>
        DeletionCurve.Of(DeletionTest.Fractions, test.Rises(rank));

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
            LayerCount = 6,
            Layout = TrainingLayout.Stream,
            BatchSize = 8,
            Epochs = 1,
            Dropout = 0,
            TargetSmoothing = 0,
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
        return (results, DeletionReport.Of(global.Network, cases, settings.Seed), middle);
    }

    private PlantedKeyModel Trained(bool isGlobal)
    {
        Console.WriteLine($"Training the {(isGlobal ? "global" : "local-only")} model on planted keys.");
        var model = new PlantedKeyModel(settings.Distances, isGlobal, settings.Seed);
        model.Train(settings.PlantedSteps);
        return model;
    }
}
