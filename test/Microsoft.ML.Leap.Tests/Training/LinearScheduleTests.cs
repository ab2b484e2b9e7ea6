namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LinearScheduleTests
{
    [TestMethod]
    public void Item_OverTheRun_FallsInAStraightLineTowardsZero()
    {
        var schedule = new LinearSchedule(0.5, 4);
        Assert.AreEqual(0.5, schedule[0]);
        Assert.AreEqual(0.375, schedule[1]);
        Assert.AreEqual(0.125, schedule[3]);
        Assert.AreEqual(0, schedule[4]);
    }
}
