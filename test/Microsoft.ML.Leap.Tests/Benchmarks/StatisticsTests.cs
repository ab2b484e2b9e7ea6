using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class StatisticsTests
{
    [TestMethod]
    [DataRow(new[] { 3.0 }, 3.0)]
    [DataRow(new[] { 5.0, 1, 100 }, 5.0)]
    [DataRow(new[] { 4.0, 1, 2, 100 }, 3.0)]
    public void Median_OfValuesInAnyOrder_IsTheMiddle(double[] values, double expected) =>
        Assert.AreEqual(expected, Statistics.Median(values));

    [TestMethod]
    public void Median_OfNothing_IsRefused() => Assert.ThrowsExactly<ArgumentException>(() => Statistics.Median([]));

    [TestMethod]
    public void MedianRatio_OfAMachineThatSlowsDown_IsThatOfThePairs()
    {
        // Each pair's ratio is 2, though the third takes ten times as long.
        Assert.AreEqual(2, Statistics.MedianRatio([2, 4, 20], [1, 2, 10]));
        Assert.AreEqual(3, Statistics.MedianRatio([3, 8, 9], [1, 2, 9]));
    }

    [TestMethod]
    public void MedianRatio_OfUnequalCounts_IsRefused() =>
        Assert.ThrowsExactly<ArgumentException>(() => Statistics.MedianRatio([1, 2], [1]));
}
