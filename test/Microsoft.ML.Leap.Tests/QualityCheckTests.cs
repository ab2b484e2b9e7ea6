namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class QualityCheckTests
{
    // Over 100 tokens each.
    private static readonly BaselineScore Counted = new(-100 * Math.Log(50), -100 * Math.Log(20), 100);

    [TestMethod]
    public void GetWarning_OfModelBetterThanCounting_IsNone() => Assert.IsNull(Warning(19, History(1000)));

    [TestMethod]
    [DataRow(20.5, 50, 1000, 2e-3, "bigram", "Epochs")]
    [DataRow(60, 50, 1000, 2e-3, "unigram", "Epochs")]
    [DataRow(30, 1000, 1000, 2e-3, "bigram", "more text")]
    [DataRow(30, 1000, 1000, 1e-5, "bigram", "higher LearningRate")]
    [DataRow(30, 1000, 200, 2e-3, "bigram", "by heart")]
    public void GetWarning_OfModelThatCountingBeats_NamesTheRivalAndTheRemedy(
        double perplexity, int steps, int bestStep, double learningRate, string rival, string remedy)
    {
        string warning = Warning(perplexity, History(steps, Math.Min(bestStep, steps)), learningRate)!;
        StringAssert.Contains(warning, rival);
        StringAssert.Contains(warning, remedy);
    }

    [TestMethod]
    public void GetWarning_OfDivergedRun_SaysSo() => StringAssert.Contains(Warning(10, History(1000, trainingLoss: 51))!, "diverged");

    [TestMethod]
    [DataRow(10.0, "diverged")]
    [DataRow(1e-12, "unigram")]
    public void Fit_ThatLearnsNothing_Warns(double learningRate, string expected)
    {
        var context = new MLContext(1);
        List<string> warnings = [];
        context.Log += (_, e) =>
        {
            if (e.Kind == Runtime.ChannelMessageKind.Warning)
                warnings.Add(e.RawMessage);
        };

        TinyModel.Fit(context, options => options.LearningRate = learningRate).Dispose();

        Assert.IsTrue(warnings.Any(warning => warning.Contains(expected)), string.Join('\n', warnings));
    }

    [TestMethod]
    public void Fit_ThatLearns_DoesNotWarn()
    {
        var context = new MLContext(1);
        List<string> warnings = [];
        context.Log += (_, e) =>
        {
            if (e.Kind == Runtime.ChannelMessageKind.Warning)
                warnings.Add(e.RawMessage);
        };

        TinyModel.Fit(context, options => options.Epochs = 60).Dispose();

        Assert.IsEmpty(warnings, string.Join('\n', warnings));
    }

    private static string? Warning(double perplexity, TrainingHistory history, double learningRate = 2e-3)
    {
        var options = new LeapLanguageModelTrainer.Options { LearningRate = learningRate };
        return QualityCheck.GetWarning(perplexity, Counted, history, TrainingRecipe.Choose(options, 1000, 50_000, hasValidationData: false), 8192);
    }

    private static TrainingHistory History(long steps, long? bestStep = null, double trainingLoss = 3) => new(
        [Record(bestStep ?? steps, 3, trainingLoss), Record(steps, bestStep is null || bestStep == steps ? 3 : 4, trainingLoss)]);

    private static TrainingRecord Record(long step, double validationLoss, double trainingLoss) => new()
    {
        Epoch = 1,
        Step = step,
        TrainingLoss = trainingLoss,
        ValidationLoss = validationLoss,
        LearningRate = 1e-3,
        GradientNorm = 1,
        SkippedSteps = 0,
        Tokens = step,
        Elapsed = TimeSpan.Zero,
    };
}
