using System.Reflection;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The trainer's options for the course of a run.</summary>
[TestClass]
public class LeapLanguageModelTrainerRunTests
{
    [TestMethod]
    public void LanguageModel_TrainingSettingOutOfRange_IsRefusedByName()
    {
        LeapLanguageModelTrainerTests.AssertRefused("MaximumSteps", options => options.MaximumSteps = 0);
        LeapLanguageModelTrainerTests.AssertRefused("TimeBudget", options => options.TimeBudget = TimeSpan.Zero);
        LeapLanguageModelTrainerTests.AssertRefused("GradientAccumulation", options => options.GradientAccumulation = 0);
        LeapLanguageModelTrainerTests.AssertRefused("Precision", options => options.Precision = (TrainingPrecision)9);
        LeapLanguageModelTrainerTests.AssertRefused("Schedule", options => options.Schedule = null!);
        LeapLanguageModelTrainerTests.AssertRefused("WarmupSteps", options => options.WarmupSteps = -1);
        LeapLanguageModelTrainerTests.AssertRefused("WarmupRatio", options => options.WarmupRatio = 1.1);
        LeapLanguageModelTrainerTests.AssertRefused("WarmupRatio", options => (options.WarmupSteps, options.WarmupRatio) = (1, 0.1));
        LeapLanguageModelTrainerTests.AssertRefused("MaximumSkippedSteps", options => options.MaximumSkippedSteps = 0);
        LeapLanguageModelTrainerTests.AssertRefused("ValidationFraction", options => options.ValidationFraction = 1);
        LeapLanguageModelTrainerTests.AssertRefused("EvaluationInterval", options => options.EvaluationInterval = TrainingInterval.Time(TimeSpan.FromMinutes(1)));
        LeapLanguageModelTrainerTests.AssertRefused("EarlyStoppingPatience", options => options.EarlyStoppingPatience = 0);
        LeapLanguageModelTrainerTests.AssertRefused("EarlyStoppingImprovement", options => options.EarlyStoppingImprovement = -1);
        LeapLanguageModelTrainerTests.AssertRefused("CheckpointInterval", options => options.CheckpointInterval = null!);
        LeapLanguageModelTrainerTests.AssertRefused("CheckpointFolder", options => options.CheckpointFolder = " ");
        LeapLanguageModelTrainerTests.AssertRefused("KeptCheckpoints", options => options.KeptCheckpoints = 0);
        LeapLanguageModelTrainerTests.AssertRefused("Resume", options => options.Resume = true);
        LeapLanguageModelTrainerTests.AssertRefused("OnCancel", options => options.OnCancel = (CancellationBehavior)9);
    }

    [TestMethod]
    public void Fit_WithValidationFraction_SetsTextsAside()
    {
        var context = new MLContext(1);
        List<double> losses = [];
        TinyModel.Fit(context, options =>
        {
            options.ValidationFraction = 0.3;
            options.Progress = progress => losses.AddRange(progress.ValidationLoss is double loss ? [loss] : []);
        }).Dispose();
        Assert.HasCount(2, losses);

        var exception = Assert.ThrowsExactly<InvalidOperationException>(
            () => TinyModel.Fit(context, options => options.EarlyStoppingPatience = 1));
        StringAssert.Contains(exception.Message, "ValidationFraction");
    }

    [TestMethod]
    public void Fit_WithCheckpointFolder_WritesModelsAndResumes()
    {
        string folder = Path.Combine(Path.GetTempPath(), $"leap-{Guid.NewGuid():N}");
        try
        {
            var context = new MLContext(1);
            IDataView data = TinyModel.View(context, TinyModel.Texts);
            using LeapLanguageModelTransformer first = TinyModel.Fit(context, options => options.CheckpointFolder = folder);
            using LeapLanguageModelTransformer resumed = TinyModel.Fit(
                context, options => (options.CheckpointFolder, options.Resume) = (folder, true));
            double perplexity = first.Evaluate(data).Perplexity;

            Assert.AreEqual(perplexity, resumed.Evaluate(data).Perplexity);
            Assert.HasCount(2, resumed.History.Records);
            string latest = Directory.GetDirectories(folder).Order(StringComparer.Ordinal).Last();
            using LeapLanguageModelTransformer loaded = context.Leap().LoadPretrained(latest, device: "cpu");
            Assert.AreEqual(perplexity, loaded.Evaluate(data).Perplexity, 1e-9);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Fit_ResumedWithAutoPrecision_KeepsThatOfTheCheckpoint()
    {
        using var folder = new TemporaryFolder();
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        using LeapLanguageModelTransformer first = TinyModel.Fit(context, options => Set(options, TrainingPrecision.BFloat16));

        // Networks as small as this one get single precision from Auto.
        using LeapLanguageModelTransformer resumed = TinyModel.Fit(context, options => Set(options, TrainingPrecision.Auto));

        Assert.AreEqual(first.Evaluate(data).Perplexity, resumed.Evaluate(data).Perplexity);
        string message = Assert.ThrowsExactly<InvalidOperationException>(
            () => TinyModel.Fit(context, options => Set(options, TrainingPrecision.Float32))).Message;
        StringAssert.Contains(message, "its Precision is BFloat16, but that of this run is Float32");

        void Set(LeapLanguageModelTrainer.Options options, TrainingPrecision precision) =>
            (options.CheckpointFolder, options.Resume, options.Precision) = (folder.Path, true, precision);
    }

    [TestMethod]
    [DataRow(0.3, "its training data is ")]
    [DataRow(0.0, "its Seed is 7, ")]
    public void Fit_ResumedWithoutSeed_NamesTheSeedToSet(double heldOut, string difference)
    {
        using var folder = new TemporaryFolder();
        var context = new MLContext(1);
        TinyModel.Fit(context, Set).Dispose();

        string message = Assert.ThrowsExactly<InvalidOperationException>(() => TinyModel.Fit(context, options =>
        {
            Set(options);
            options.Seed = null;
        })).Message;

        StringAssert.Contains(message, difference);
        StringAssert.Contains(message, "Set Seed to 7.");

        void Set(LeapLanguageModelTrainer.Options options) =>
            (options.CheckpointFolder, options.Resume, options.ValidationFraction) = (folder.Path, true, heldOut);
    }

    [TestMethod]
    public void Fit_ResumedWithOtherRate_SaysNothingOfTheSeed()
    {
        using var folder = new TemporaryFolder();
        var context = new MLContext(1);
        TinyModel.Fit(context, options => options.CheckpointFolder = folder.Path).Dispose();

        string message = Assert.ThrowsExactly<InvalidOperationException>(() => TinyModel.Fit(
            context, options => (options.CheckpointFolder, options.Resume, options.LearningRate, options.Seed) = (folder.Path, true, 1e-3, 8))).Message;

        StringAssert.Contains(message, "LearningRate");
        Assert.DoesNotContain("Set Seed", message);
    }

    [TestMethod]
    public void Fit_ThenSaveAndLoad_KeepsTheHistory()
    {
        var context = new MLContext(1);
        using LeapLanguageModelTransformer model = TinyModel.Fit(context, options => options.ValidationFraction = 0.3);
        using var stream = new MemoryStream();
        context.Model.Save(model, null, stream);
        stream.Position = 0;
        using var loaded = (LeapLanguageModelTransformer)context.Model.Load(stream, out _);

        Assert.HasCount(2, model.History.Records);
        Assert.IsTrue(model.History.Records.All(record => record.ValidationLoss > 0 && record.TrainingLoss > 0));
        CollectionAssert.AreEqual(model.History.Records.ToArray(), loaded.History.Records.ToArray());

        // A model without a history has no entry for it, as those had that were saved before there were any.
        string folder = Path.Combine(Path.GetTempPath(), $"leap-{Guid.NewGuid():N}");
        try
        {
            model.SavePretrained(folder);
            using LeapLanguageModelTransformer pretrained = context.Leap().LoadPretrained(folder, device: "cpu");
            using var zip = new MemoryStream();
            context.Model.Save(pretrained, null, zip);
            zip.Position = 0;
            using var reloaded = (LeapLanguageModelTransformer)context.Model.Load(zip, out _);
            Assert.IsEmpty(reloaded.History.Records);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Fit_FromAnInitialModel_TrainsItFurtherAndLeavesItAlone()
    {
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        using LeapLanguageModelTransformer initial = TinyModel.Fit(context, options => options.Epochs = 20);
        double before = initial.Evaluate(data).Perplexity;
        void Continue(LeapLanguageModelTrainer.Options options)
        {
            options.InitialModel = initial;
            options.Tokenizer = TokenizerOptions.ByteLevelBpe(300);
            options.HiddenSize = 32;
            options.Dropout = 0.5;
        }

        using LeapLanguageModelTransformer further = TinyModel.Fit(context, options =>
        {
            Continue(options);
            options.Epochs = 5;
        });
        Assert.AreEqual(16, further.Config.HiddenSize);
        Assert.AreSame(initial.Tokenizer, further.Tokenizer);
        Assert.IsLessThan(before, further.Evaluate(data).Perplexity);
        Assert.AreEqual(before, initial.Evaluate(data).Perplexity);

        using LeapLanguageModelTransformer hardly = TinyModel.Fit(context, options =>
        {
            Continue(options);
            options.LearningRate = 1e-12;
        });
        Assert.AreEqual(before, hardly.Evaluate(data).Perplexity, 1e-4 * before);

        initial.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => TinyModel.Fit(context, Continue));
    }

    [TestMethod]
    public void Fit_SameSeed_GivesTheSameWeightsBitForBit()
    {
        static byte[] Weights(int seed, int contextSeed)
        {
            string folder = Path.Combine(Path.GetTempPath(), $"leap-{Guid.NewGuid():N}");
            try
            {
                using LeapLanguageModelTransformer model = TinyModel.Fit(new MLContext(contextSeed), options =>
                {
                    options.Seed = seed;
                    options.ValidationFraction = 0.3;
                });
                model.SavePretrained(folder);
                return File.ReadAllBytes(Path.Combine(folder, "model.safetensors"));
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        CollectionAssert.AreEqual(Weights(3, 1), Weights(3, 2));
        CollectionAssert.AreNotEqual(Weights(3, 1), Weights(4, 1));
    }

    [TestMethod]
    public void Fit_CancelledToReturnTheBest_ReturnsAModel()
    {
        var context = new MLContext(1);
        using var source = new CancellationTokenSource();
        using LeapLanguageModelTransformer model = TinyModel.Fit(context, options =>
        {
            options.CancellationToken = source.Token;
            options.OnCancel = CancellationBehavior.ReturnBest;
            options.Epochs = 50;
            options.Progress = progress =>
            {
                if (progress.Epoch == 2)
                    source.Cancel();
            };
        });

        Assert.HasCount(1, model.History.Records);
        Assert.IsTrue(double.IsFinite(model.Evaluate(TinyModel.View(context, TinyModel.Texts)).Perplexity));
    }

    [TestMethod]
    public void Fit_ContextCancelled_Ends()
    {
        // MLContext.CancelExecution is internal: AutoML and other parts of ML.NET call it.
        var context = new MLContext(1);
        void Cancel(TrainingProgress progress) =>
            typeof(MLContext).GetMethod("CancelExecution", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(context, null);

        Assert.ThrowsExactly<OperationCanceledException>(() => TinyModel.Fit(context, options => options.Progress = Cancel));
    }
}
