namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LearningRatePlanTests
{
    private static readonly LeapLanguageModelTrainer.Options Options = TrainingSamples.Options(1, 1).With(o => o.LearningRate = 0.5);

    [TestMethod]
    public void Item_ByDefault_FallsInAStraightLineTowardsZero()
    {
        var plan = new LearningRatePlan(Options, 4);
        CollectionAssert.AreEqual(new[] { 0.5, 0.375, 0.25, 0.125 }, Rates(plan, 4));
    }

    [TestMethod]
    public void Item_WithWarmup_RisesToTheTopThenFollowsTheSchedule()
    {
        double[] expected = [0.25, 0.5, 0.5, 0.375, 0.25, 0.125];
        CollectionAssert.AreEqual(expected, Rates(new LearningRatePlan(Options.With(o => o.WarmupSteps = 2), 6), 6));
        CollectionAssert.AreEqual(expected, Rates(new LearningRatePlan(Options.With(o => o.WarmupRatio = 0.3), 6), 6));
        CollectionAssert.AreEqual(new[] { 0.25, 0.5 }, Rates(new LearningRatePlan(Options.With(o => o.WarmupRatio = 1), 2), 2));
    }

    [TestMethod]
    public void Item_FromAStepInTheMiddle_RisesToTheSchedule()
    {
        var plan = new LearningRatePlan(Options.With(o => o.WarmupSteps = 2), 6);
        double[] whole = Rates(plan, 6);
        plan.FirstStep = 3;
        CollectionAssert.AreEqual(new[] { whole[3] / 2, whole[4], whole[5] }, Rates(plan, 6)[3..]);
    }

    [TestMethod]
    public void Item_WithTimeBudget_FollowsWhatEndsFirst()
    {
        var plan = new LearningRatePlan(Options.With(o => o.TimeBudget = TimeSpan.FromMinutes(10)), 100);
        Assert.AreEqual(0.25, plan[10, TimeSpan.FromMinutes(5)], 1e-12);
        Assert.AreEqual(0.125, plan[75, TimeSpan.FromMinutes(5)], 1e-12);
        Assert.AreEqual(0, plan[10, TimeSpan.FromMinutes(11)]);
    }

    private static double[] Rates(LearningRatePlan plan, int count) =>
        [.. Enumerable.Range(0, count).Select(step => plan[step, TimeSpan.Zero])];
}
