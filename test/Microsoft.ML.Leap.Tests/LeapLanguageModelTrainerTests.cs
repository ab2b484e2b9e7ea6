using System.Reflection;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapLanguageModelTrainerTests
{
    [TestMethod]
    public void Fit_RepetitiveText_LearnsIt()
    {
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, [.. Enumerable.Repeat("abcabcabcabcabcabc", 40)]);
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.Dropout = 0;
        options.Epochs = 16;
        options.LearningRate = 1e-2;

        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(options).Fit(data);

        // Only the end of the text is left to guess, and the first letter: a uniform model would have 257.
        Assert.IsLessThan(1.3, model.Evaluate(data).Perplexity);
    }

    [TestMethod]
    public void Fit_LeavesTorchAsItWas()
    {
        var context = new MLContext(1);
        TinyModel.Fit(context).Dispose();
        using var state = new TorchState(TinyModel.WeightCount);

        using LeapLanguageModelTransformer model = TinyModel.Fit(context);
        _ = TinyModel.Rows(context, model.Transform(TinyModel.View(context, TinyModel.Texts)));
        _ = model.Generate("a", new GenerationOptions { MaximumNewTokens = 3 });
    }

    [TestMethod]
    public void Fit_SameSeed_GivesTheSameScores()
    {
        float[] Scores(MLContext context, int? seed)
        {
            using LeapLanguageModelTransformer model = TinyModel.Fit(context, options => options.Seed = seed);
            return [.. TinyModel.Rows(context, model.Transform(TinyModel.View(context, TinyModel.Texts))).Select(row => row.LogLikelihood)];
        }

        CollectionAssert.AreEqual(Scores(new MLContext(1), 3), Scores(new MLContext(2), 3));
        CollectionAssert.AreNotEqual(Scores(new MLContext(1), 3), Scores(new MLContext(1), 4));
        CollectionAssert.AreEqual(Scores(new MLContext(5), null), Scores(new MLContext(5), null));
    }

    [TestMethod]
    public void Fit_TwiceFromOneTrainer_GivesTwoIndependentModels()
    {
        var context = new MLContext(1);
        LeapLanguageModelTrainer trainer = context.Leap().LanguageModel(TinyModel.Options());
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        LeapLanguageModelTransformer first = trainer.Fit(data);
        using LeapLanguageModelTransformer second = trainer.Fit(data);
        double before = second.Evaluate(data).Perplexity;

        first.Dispose();

        Assert.AreEqual(before, second.Evaluate(data).Perplexity);
    }

    [TestMethod]
    public void Fit_WithValidation_ReportsItsLossEachEpoch()
    {
        var context = new MLContext(1);
        List<double> losses = [];
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.Progress = progress => losses.AddRange(progress.ValidationLoss is double loss ? [loss] : []);

        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(options)
            .Fit(TinyModel.View(context, TinyModel.Texts), TinyModel.View(context, "the cat and the dog"));

        Assert.HasCount(2, losses);
        Assert.IsLessThan(losses[0], losses[1]);
    }

    [TestMethod]
    public void Fit_WithLog_TellsItsProgress()
    {
        var context = new MLContext(1);
        List<string> messages = [];
        context.Log += (_, e) => messages.Add(e.Message);

        TinyModel.Fit(context).Dispose();

        Assert.IsTrue(messages.Any(message => message.Contains("epoch 2/2") && message.Contains("tokens/s")), string.Join('\n', messages));
    }

    [TestMethod]
    public void Fit_ColumnMissing_NamesItAndTheOthers()
    {
        var context = new MLContext(1);
        IDataView data = context.Data.LoadFromEnumerable([new { Words = "a", Number = 1f }]);

        var exception = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Leap().LanguageModel().Fit(data));

        StringAssert.Contains(exception.Message, "'Text'");
        StringAssert.Contains(exception.Message, "'Words'");
    }

    [TestMethod]
    public void Fit_ColumnOfNumbersOrVectors_SaysWhatItHolds()
    {
        var context = new MLContext(1);
        IDataView data = context.Data.LoadFromEnumerable([new { Number = 1f, Words = new[] { "a", "b" } }]);

        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Leap().LanguageModel("Number").Fit(data)).Message, "Single");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Leap().LanguageModel("Words").Fit(data)).Message, "Vector");
    }

    [TestMethod]
    public void Fit_WithoutText_SaysSo()
    {
        var context = new MLContext(1);
        LeapLanguageModelTrainer trainer = context.Leap().LanguageModel(TinyModel.Options());

        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => trainer.Fit(TinyModel.View(context, "", null))).Message, "no text");
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => trainer.Fit(TinyModel.View(context))).Message, "training data holds no text");
        IDataView data = TinyModel.View(context, TinyModel.Texts), empty = TinyModel.View(context, "");
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => trainer.Fit(data, empty)).Message, "validation data holds no text.");
        Assert.ThrowsExactly<ArgumentNullException>(() => trainer.Fit(null!));
    }

    [TestMethod]
    public void Fit_Cancelled_ThrowsAndFreesTheModel()
    {
        var context = new MLContext(1);
        using var source = new CancellationTokenSource();
        using var state = new TorchState(TinyModel.WeightCount);

        Assert.ThrowsExactly<OperationCanceledException>(() => TinyModel.Fit(context, options =>
        {
            options.CancellationToken = source.Token;
            options.Progress = _ => source.Cancel();
        }));
    }

    [TestMethod]
    public void Fit_FailingCallback_FreesTheModel()
    {
        var context = new MLContext(1);
        using var state = new TorchState(TinyModel.WeightCount);

        Assert.ThrowsExactly<NotSupportedException>(() => TinyModel.Fit(context, options => options.Progress = _ => throw new NotSupportedException()));
    }

    [TestMethod]
    public void GetOutputSchema_PromisesWhatTheTransformerDelivers()
    {
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.GeneratedTextColumnName = "Next";
        options.TokensColumnName = "Tokens";
        options.FocusWeightsColumnName = "FocusWeights";
        LeapLanguageModelTrainer trainer = context.Leap().LanguageModel(options);

        SchemaShape promised = trainer.GetOutputSchema(GetShape(data));
        using LeapLanguageModelTransformer model = trainer.Fit(data);
        DataViewSchema delivered = model.GetOutputSchema(data.Schema);

        foreach (string name in new[] { "LogLikelihood", "TokenCount", "Perplexity", "Next" })
        {
            SchemaShape.Column shape = promised.Single(column => column.Name == name);
            Assert.AreEqual(SchemaShape.Column.VectorKind.Scalar, shape.Kind);
            Assert.AreEqual(delivered[name].Type, shape.ItemType);
            Assert.IsFalse(shape.IsKey);
            Assert.IsEmpty(shape.Annotations.ToArray());
            Assert.IsEmpty(delivered[name].Annotations.Schema.ToArray());
        }

        foreach (string name in new[] { "Tokens", "FocusWeights" })
        {
            SchemaShape.Column shape = promised.Single(column => column.Name == name);
            var type = (VectorDataViewType)delivered[name].Type;
            Assert.AreEqual(SchemaShape.Column.VectorKind.VariableVector, shape.Kind);
            Assert.IsFalse(type.IsKnownSize);
            Assert.AreEqual(type.ItemType, shape.ItemType);
            Assert.IsFalse(shape.IsKey);
            Assert.IsEmpty(shape.Annotations.ToArray());
            Assert.IsEmpty(delivered[name].Annotations.Schema.ToArray());
        }

        Assert.HasCount(delivered.Count, promised.ToArray());
        Assert.AreEqual(delivered.ToString(), model.Transform(data).Schema.ToString());
    }

    [TestMethod]
    public void GetOutputSchema_ColumnMissing_IsRefusedAsByFit()
    {
        var context = new MLContext(1);
        SchemaShape shape = GetShape(context.Data.LoadFromEnumerable([new { Words = "a" }]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Leap().LanguageModel().GetOutputSchema(shape));
        SchemaShape numbers = GetShape(context.Data.LoadFromEnumerable([new { Text = 1f }]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Leap().LanguageModel().GetOutputSchema(numbers));
    }

    [TestMethod]
    public void Options_ChangedAfterwards_DoNotReachTheTrainer()
    {
        var context = new MLContext(1);
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.WindowSizes = [2, 16];
        LeapLanguageModelTrainer trainer = context.Leap().LanguageModel(options);
        options.TextColumnName = "Other";
        options.WindowSizes[0] = 0;
        options.HiddenSize = 32;

        using LeapLanguageModelTransformer model = trainer.Fit(TinyModel.View(context, TinyModel.Texts));

        Assert.AreEqual(16, model.Config.HiddenSize);
        CollectionAssert.AreEqual(new[] { 2, 16 }, model.Config.WindowSizes.ToArray());
    }

    [TestMethod]
    public void LanguageModel_SettingOutOfRange_IsRefusedByName()
    {
        AssertRefused("Epochs", options => options.Epochs = 0);
        AssertRefused("BatchSize", options => options.BatchSize = 0);
        AssertRefused("LearningRate", options => options.LearningRate = 0);
        AssertRefused("MemoryMegabytes", options => options.MemoryMegabytes = -0.1);
        AssertRefused("MemoryMegabytes", options => options.MemoryMegabytes = double.PositiveInfinity);
        AssertRefused("Layout", options => options.Layout = (TrainingLayout)9);
        AssertRefused("LearningRate", options => options.LearningRate = double.NaN);
        AssertRefused("Beta1", options => options.Beta1 = 1);
        AssertRefused("Beta2", options => options.Beta2 = -0.1);
        AssertRefused("WeightDecay", options => options.WeightDecay = -1);
        AssertRefused("MaximumGradientNorm", options => options.MaximumGradientNorm = 0);
        AssertRefused("MaximumCorpusMemory", options => options.MaximumCorpusMemory = -1);
        AssertRefused("ScoringTokensPerBatch", options => options.ScoringTokensPerBatch = 0);
        AssertRefused("hiddenSize", options => options.HiddenSize = 15);
        AssertRefused("dropout", options => options.Dropout = 1);
        AssertRefused("TextColumnName", options => options.TextColumnName = " ");
        AssertRefused("Generation", options => options.Generation = null!);
        AssertRefused("LogLikelihoodColumnName", options => options.PerplexityColumnName = "LogLikelihood");
        Assert.ThrowsExactly<ArgumentNullException>(() => new MLContext().Leap().LanguageModel((LeapLanguageModelTrainer.Options)null!));
    }

    internal static void AssertRefused(string parameter, Action<LeapLanguageModelTrainer.Options> change)
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        change(options);
        var exception = Assert.Throws<ArgumentException>(() => new MLContext().Leap().LanguageModel(options));
        Assert.AreEqual(parameter, exception.ParamName, exception.Message);
    }

    [TestMethod]
    public void Fit_CorpusBeyondItsMemory_TrainsTheSameFromFilesThatAreGoneAfterwards()
    {
        using var folder = new TemporaryFolder();
        float[] Scores(long memory, int files)
        {
            var context = new MLContext(1) { TempFilePath = folder.Path };
            LeapLanguageModelTrainer.Options options = TinyModel.Options();
            options.MaximumCorpusMemory = memory;
            options.Progress = _ => Assert.AreEqual(files, folder.OpenFileCount);
            IDataView data = TinyModel.View(context, TinyModel.Texts);
            using LeapLanguageModelTransformer model = context.Leap().LanguageModel(options).Fit(data, TinyModel.View(context, "a cat"));
            Assert.AreEqual(0, folder.OpenFileCount);
            Assert.HasCount(0, folder.Files);
            return [.. TinyModel.Rows(context, model.Transform(data)).Select(row => row.LogLikelihood)];
        }

        CollectionAssert.AreEqual(Scores(long.MaxValue, files: 0), Scores(0, files: 2));
    }

    [TestMethod]
    public void Fit_FailsWithCorpusInFile_DeletesIt()
    {
        using var folder = new TemporaryFolder();
        var context = new MLContext(1) { TempFilePath = folder.Path };

        Assert.ThrowsExactly<NotSupportedException>(() => TinyModel.Fit(context, options =>
        {
            options.MaximumCorpusMemory = 0;
            options.Progress = _ => throw new NotSupportedException();
        }));
        Assert.ThrowsExactly<InvalidOperationException>(() =>
        {
            LeapLanguageModelTrainer.Options options = TinyModel.Options();
            options.MaximumCorpusMemory = 0;
            context.Leap().LanguageModel(options).Fit(TinyModel.View(context, "", null));
        });

        Assert.HasCount(0, folder.Files);
    }

    // ML.NET's own way from a schema to its shape is internal.
    private static SchemaShape GetShape(IDataView data) => (SchemaShape)typeof(SchemaShape)
        .GetMethod("Create", BindingFlags.NonPublic | BindingFlags.Static)!.Invoke(null, [data.Schema])!;
}
