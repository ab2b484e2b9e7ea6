using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Leap.Tests.Documentation;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public partial class TrainingRecipeTests
{
    [TestMethod]
    public void Choose_NothingSet_GivesWhatThePageSays()
    {
        string page = File.ReadAllText(Path.Combine(RepositoryFolder.Path, "docs", "defaults.md"));
        Match[] rows = [.. SizeRow().Matches(page).Cast<Match>()];

        Assert.IsGreaterThan(4, rows.Length);
        foreach (Match row in rows)
        {
            string limit = row.Groups[1].Value.Replace(",", "");
            long bytes = limit == "more" ? long.MaxValue : long.Parse(limit, CultureInfo.InvariantCulture);
            TrainingRecipe recipe = TrainingRecipe.Choose(new(), 1000, bytes, hasValidationData: false);
            string chosen = string.Create(
                CultureInfo.InvariantCulture,
                $"{recipe.VocabularySize:N0} | {recipe.LayerCount} | {recipe.HiddenSize} | {recipe.BatchSize} | {recipe.Epochs} | {recipe.LearningRate} | {recipe.WeightDecay} | {recipe.Dropout}");
            Assert.AreEqual(row.Groups[2].Value, chosen, row.Value);
            Assert.AreEqual((4, 8), (recipe.ConvolutionSize, recipe.FocusSize));
            Assert.IsTrue(recipe.UseForgetGates);
        }
    }

    [TestMethod]
    public void Choose_SettingsGiven_KeepsThem()
    {
        var options = new LeapLanguageModelTrainer.Options
        {
            HiddenSize = 64,
            LayerCount = 3,
            HeadCount = 2,
            ContextLength = 99,
            ConvolutionSize = 0,
            UseForgetGates = false,
            FocusSize = 32,
            BatchSize = 5,
            Epochs = 7,
            LearningRate = 1e-4,
            WarmupRatio = 0.5,
            WeightDecay = 0.05,
            Dropout = 0.3,
            ValidationFraction = 0.2,
            EarlyStoppingPatience = 9,
        };

        TrainingRecipe recipe = TrainingRecipe.Choose(options, 500, 40_000, hasValidationData: false);

        Assert.AreEqual(
            (64, 3, 2, 99, 0, 32, 5, 7, 1e-4, 0.5, 0.05, 0.3, 0.2, 9),
            (recipe.HiddenSize, recipe.LayerCount, recipe.HeadCount, recipe.ContextLength, recipe.ConvolutionSize, recipe.FocusSize,
                recipe.BatchSize, recipe.Epochs,
                recipe.LearningRate, recipe.WarmupRatio, recipe.WeightDecay, recipe.Dropout, recipe.ValidationFraction, recipe.EarlyStoppingPatience));
        Assert.IsFalse(recipe.UseForgetGates);
    }

    [TestMethod]
    public void Read_OfAnOlderFile_HasWindowsNoConvolutionsAndAdamWsWeightDecay()
    {
        using var file = new MemoryStream();
        SettingsJson.Write(file, 1, TrainingRecipe.Choose(new(), 500, 40_000, hasValidationData: false));
        string json = Encoding.UTF8.GetString(file.ToArray());
        string older = NewerLine().Replace(json, "");
        Assert.HasCount(4, NewerLine().Matches(json));

        TrainingRecipe recipe = SettingsJson.Read<TrainingRecipe>(new MemoryStream(Encoding.UTF8.GetBytes(older)), 2);

        Assert.AreEqual((0, false, null, 0.01, 500), (recipe.ConvolutionSize, recipe.UseForgetGates, recipe.FocusSize, recipe.WeightDecay, recipe.RowCount));
    }

    [TestMethod]
    [DataRow(99, false, 0.0, null)]
    [DataRow(100, false, 0.1, 3)]
    [DataRow(1000, false, 0.03, 3)]
    [DataRow(100_000, false, 0.005, 3)]
    [DataRow(100, true, 0.0, null)]
    public void Choose_RowsToHoldOut_FollowsTheirNumber(int rows, bool hasValidationData, double fraction, int? patience)
    {
        TrainingRecipe recipe = TrainingRecipe.Choose(new(), rows, 50_000, hasValidationData);
        Assert.AreEqual(fraction, recipe.ValidationFraction, 1e-12);
        Assert.AreEqual(patience, recipe.EarlyStoppingPatience);
    }

    [TestMethod]
    [DataRow(600_000L, 5)]
    [DataRow(1_000_000L, 3)]
    [DataRow(50_000_000L, 1)]
    public void LimitEpochs_MoreTokensThanThreeMinutesRead_TakesFewer(long tokens, int epochs)
    {
        var options = new LeapLanguageModelTrainer.Options();
        Assert.AreEqual(epochs, TrainingRecipe.Choose(options, 1000, 2_000_000, false).LimitEpochs(options, tokens).Epochs);

        options.Epochs = 9;
        Assert.AreEqual(9, TrainingRecipe.Choose(options, 1000, 2_000_000, false).LimitEpochs(options, tokens).Epochs);
    }

    [TestMethod]
    public void LimitEpochs_MoreText_GrowsInProportion()
    {
        var options = new LeapLanguageModelTrainer.Options();
        TrainingRecipe recipe = TrainingRecipe.Choose(options, 1000, 50_000_000, false);
        Assert.AreEqual(recipe.Epochs, recipe.LimitEpochs(options, 12_000_000).Epochs);
    }

    [TestMethod]
    [DataRow(128, 4)]
    [DataRow(6, 2)]
    [DataRow(7, 1)]
    [DataRow(4, 2)]
    public void Choose_Heads_DivideTheHiddenSize(int hiddenSize, int heads) =>
        Assert.AreEqual(heads, TrainingRecipe.Choose(new() { HiddenSize = hiddenSize }, 1, 1, false).HeadCount);

    [TestMethod]
    [DataRow(128, 4, 8)]
    [DataRow(36, 4, 8)]
    [DataRow(32, 4, null)]
    [DataRow(16, 4, null)]
    public void Choose_Focus_IsThatOfAHeadWhereThatIsNoMoreThanEight(int hiddenSize, int heads, int? focusSize) =>
        Assert.AreEqual(focusSize, TrainingRecipe.Choose(new() { HiddenSize = hiddenSize, HeadCount = heads }, 1, 1, false).FocusSize);

    [TestMethod]
    public void Choose_WindowsGiven_HasAsManyLayersAndNoForgetGates()
    {
        TrainingRecipe recipe = TrainingRecipe.Choose(new() { WindowSizes = [4, 8, 16] }, 1, 1, false);

        Assert.AreEqual((3, false), (recipe.LayerCount, recipe.UseForgetGates));
        Assert.IsFalse(TrainingRecipe.Choose(new() { UseLocalAttention = false }, 1, 1, false).UseForgetGates);
    }

    [TestMethod]
    public void Constructor_WindowsAndForgetGates_ThrowsNamingBoth()
    {
        var options = new LeapLanguageModelTrainer.Options { WindowSizes = [4, 8], UseForgetGates = true };
        ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => new MLContext(1).Leap().LanguageModel(options));
        StringAssert.Contains(e.Message, "windowSizes were given, but useForgetGates is true");
    }

    [TestMethod]
    public void Fit_NothingSet_TellsItsChoiceAndTheTime_AndSavesIt()
    {
        var context = new MLContext(1);
        List<string> messages = [];
        context.Log += (_, e) => messages.Add(e.RawMessage);
        string[] texts = [.. Enumerable.Range(0, 120).Select(i => $"the {(i % 3 == 0 ? "cat" : "dog")} number {i} sat on the mat")];

        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(epochs: 3).Fit(TinyModel.View(context, texts));
        using var stream = new MemoryStream();
        context.Model.Save(model, null, stream);
        stream.Position = 0;
        using var loaded = (LeapLanguageModelTransformer)context.Model.Load(stream, out _);

        Assert.AreEqual(120, model.Recipe!.RowCount);
        Assert.AreEqual(3, model.Recipe.Epochs);
        Assert.AreEqual(model.Recipe, loaded.Recipe);
        Assert.AreEqual(model.Config.LayerCount, model.Recipe.LayerCount);
        Assert.IsTrue(messages.Any(message => message.Contains(model.Recipe.ToString())), string.Join('\n', messages));
        Assert.IsTrue(messages.Any(message => message.StartsWith("The training will take about", StringComparison.Ordinal)), string.Join('\n', messages));
        Assert.IsNotNull(model.History.Best);
    }

    [TestMethod]
    public void Fit_MaximumSteps_TellsThemInPlaceOfEpochs()
    {
        var context = new MLContext(1);
        List<string> messages = [];
        context.Log += (_, e) => messages.Add(e.RawMessage);

        TinyModel.Fit(context, options => (options.Epochs, options.MaximumSteps) = (null, 3)).Dispose();

        string line = messages.Single(message => message.StartsWith("Training on ", StringComparison.Ordinal));
        StringAssert.Contains(line, "batch 4, 3 steps, AdamW");
        Assert.DoesNotContain("epochs", line);
    }

    [GeneratedRegex("\n *\"(?:convolution_size|use_forget_gates|focus_size|weight_decay)\": [\\w.]+,")]
    private static partial Regex NewerLine();

    [GeneratedRegex(@"^\| (?:up to )?([\d,]+|more) \| ([^|]+(?: \| [^|]+){7}) \|", RegexOptions.Multiline)]
    private static partial Regex SizeRow();
}
