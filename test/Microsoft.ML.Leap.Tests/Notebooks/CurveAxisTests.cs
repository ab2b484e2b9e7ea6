namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CurveAxisTests
{
    [TestMethod]
    [DataRow(0.0, 37.0, 1.0, "0,10,20,30,40")]
    [DataRow(0.0, 1.0, 1.0, "0,1")]
    [DataRow(3.21, 5.07, 1e-4, "3.0,3.5,4.0,4.5,5.0,5.5")]
    [DataRow(2.0, 2.0, 1e-4, "2.0000,2.0001")]
    [DataRow(0.0, 5e9, 1.0, "0,1E+09,2E+09,3E+09,4E+09,5E+09")]
    public void Over_Values_HasRoundLabels(double least, double greatest, double leastStep, string expected) =>
        Assert.AreEqual(expected, string.Join(',', CurveAxis.Over(least, greatest, leastStep).Labels.Select(label => label.Label)));

    [TestMethod]
    public void Place_OfTheEnds_IsZeroAndOne()
    {
        CurveAxis axis = CurveAxis.Over(3.21, 5.07, 1e-4);
        Assert.AreEqual(0, axis.Place(axis.Low));
        Assert.AreEqual(1, axis.Place(axis.High));
        Assert.AreEqual(0.4, axis.Place(4), 1e-12);
    }

    [TestMethod]
    public void Over_AnyRange_HoldsItWithinAFewLabels()
    {
        var random = new Random(1);
        for (int i = 0; i < 1000; i++)
        {
            double least = Math.Pow(10, random.Next(-6, 29)) * random.NextDouble();
            double greatest = least + Math.Pow(10, random.Next(-6, 29)) * random.NextDouble();
            CurveAxis axis = CurveAxis.Over(least, greatest, 1e-4);
            Assert.IsTrue(axis.Low <= least && axis.High >= greatest, $"{least} to {greatest}: {axis}");
            Assert.IsInRange(2, 8, axis.Labels.Count());
        }
    }
}
