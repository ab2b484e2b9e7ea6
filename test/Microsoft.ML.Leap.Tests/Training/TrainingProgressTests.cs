namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingProgressTests
{
    [TestMethod]
    public void ToString_OfALongRun_TellsEverything()
    {
        var progress = new TrainingProgress
        {
            Epoch = 2,
            EpochCount = 3,
            Step = 20,
            StepCount = 30,
            SkippedSteps = 1,
            Loss = 1.5,
            ValidationLoss = 1.25,
            LearningRate = 5e-4,
            GradientNorm = 0.5,
            TokensPerSecond = 1000.4,
            Elapsed = TimeSpan.FromHours(50.5),
            Remaining = TimeSpan.FromSeconds(61),
        };
        Assert.AreEqual(
            "epoch 2/3, step 20/30 (1 skipped), loss 1.5000, validation loss 1.2500, learning rate 5.00E-4, gradient norm 0.500, " +
            "1000 tokens/s, elapsed 50:30:00, remaining 00:01:01",
            progress.ToString());
    }
}
