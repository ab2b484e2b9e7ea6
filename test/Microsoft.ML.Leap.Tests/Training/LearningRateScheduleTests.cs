namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LearningRateScheduleTests
{
    [TestMethod]
    public void FactorAt_OfEachShape_IsTheClosedForm()
    {
        AssertFactors(LearningRateSchedule.Linear(), 1, 0.75, 0.5, 0);
        AssertFactors(LearningRateSchedule.Linear(0.5), 1, 0.875, 0.75, 0.5);
        AssertFactors(LearningRateSchedule.Cosine(0), 1, (1 + Math.Sqrt(0.5)) / 2, 0.5, 0);
        AssertFactors(LearningRateSchedule.Cosine(), 1, 0.1 + 0.9 * (1 + Math.Sqrt(0.5)) / 2, 0.55, 0.1);
        AssertFactors(LearningRateSchedule.Constant(), 1, 1, 1, 1);
        AssertFactors(LearningRateSchedule.WarmupStableDecay(0.6), 1, 1, 5.0 / 6, 0);
        AssertFactors(LearningRateSchedule.WarmupStableDecay(1, 0.2), 1, 0.8, 0.6, 0.2);
    }

    [TestMethod]
    public void Create_RatioOutOfRange_IsRefused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => LearningRateSchedule.Linear(-0.1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => LearningRateSchedule.Cosine(double.NaN));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => LearningRateSchedule.WarmupStableDecay(0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => LearningRateSchedule.WarmupStableDecay(0.5, 2));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => LearningRateSchedule.Constant().FactorAt(1.5));
    }

    private static void AssertFactors(LearningRateSchedule schedule, double atStart, double atQuarter, double atHalf, double atEnd)
    {
        Assert.AreEqual(atStart, schedule.FactorAt(0), 1e-12, $"{schedule}");
        Assert.AreEqual(atQuarter, schedule.FactorAt(0.25), 1e-12, $"{schedule}");
        Assert.AreEqual(atHalf, schedule.FactorAt(0.5), 1e-12, $"{schedule}");
        Assert.AreEqual(atEnd, schedule.FactorAt(1), 1e-12, $"{schedule}");
    }
}
