namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ScoringWindowTests
{
    [TestMethod]
    public void Cover_AnyRow_ScoresEachTokenOnceAfterAsManyAsThePlanSays()
    {
        foreach ((int length, int before) in new[] { (1, 0), (2, 1), (3, 1), (8, 4), (9, 4), (20, 4) })
        {
            var plan = new ReadingPlan(length, before);
            for (int count = 0; count < 40; count++)
            {
                int[] scored = new int[count];
                foreach (ScoringWindow window in plan.Cover(5, count))
                {
                    Assert.AreEqual(5, window.Row);
                    Assert.IsTrue(window.Length >= 1 && window.Length <= length);
                    Assert.IsTrue(window.Start == 0 || window.FirstScored - window.Start >= before);
                    for (int t = window.FirstScored; t < window.End; t++)
                        scored[t]++;
                }

                Assert.IsTrue(scored.All(times => times == 1), $"{plan}, {count} tokens");
            }
        }
    }

    [TestMethod]
    public void Of_ForgetGatesWithoutPositions_ReadsOnBeyondTheContext()
    {
        Assert.AreEqual(new ReadingPlan(8192, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false, useForgetGates: true)));
        Assert.AreEqual(new ReadingPlan(8191, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false, useForgetGates: true), reserved: 1));
        Assert.AreEqual(new ReadingPlan(64, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, useForgetGates: true)));
        Assert.AreEqual(new ReadingPlan(64, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false)));
        Assert.AreEqual(new ReadingPlan(1, 0), ReadingPlan.Of(new LeapConfig(10, 8, 1, 1, 2), reserved: 1));
        Assert.AreEqual(ReadingPlan.OfContext(64), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2)));
    }
}
