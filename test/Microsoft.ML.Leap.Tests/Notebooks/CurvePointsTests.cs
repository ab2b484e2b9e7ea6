namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CurvePointsTests
{
    [TestMethod]
    public void Runs_LossesThatAreNotFinite_AreGaps()
    {
        List<List<(long Step, double Loss)>> runs = Runs(3, double.NaN, 2, 1, double.PositiveInfinity, double.MaxValue, 0.5, double.NaN);
        Assert.AreEqual("1:3|3:2 4:1|7:0.5", string.Join('|', runs.Select(run => string.Join(' ', run.Select(point => $"{point.Step}:{point.Loss}")))));
    }

    [TestMethod]
    public void Runs_WithoutAnyLoss_AreNone()
    {
        Assert.IsEmpty(Runs());
        Assert.IsEmpty(Runs(double.NaN));
        Assert.IsEmpty(CurvePoints.Runs([.. LossCurveTests.Records(1, 2)], _ => null));
    }

    [TestMethod]
    public void Runs_ManyRecords_KeepTheirPeaks()
    {
        double[] losses = [.. Enumerable.Range(0, 10_001).Select(i => i == 7777 ? 9.0 : i == 5001 ? 0.5 : 2 - i * 1e-4)];
        (long Step, double Loss)[] run = [.. Runs(losses).Single()];
        Assert.IsInRange(200, 400, run.Length);
        CollectionAssert.Contains(run, (7778L, 9.0));
        CollectionAssert.Contains(run, (5002L, 0.5));
        CollectionAssert.AreEqual(run.OrderBy(point => point.Step).ToArray(), run);
    }

    private static List<List<(long Step, double Loss)>> Runs(params double[] losses) =>
        CurvePoints.Runs([.. LossCurveTests.Records(losses)], record => record.TrainingLoss);
}
