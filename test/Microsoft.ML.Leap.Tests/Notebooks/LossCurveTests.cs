using System.Xml.Linq;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LossCurveTests
{
    [TestMethod]
    public void Draw_TwoLosses_DifferInDashesAndMarks()
    {
        XElement svg = Draw(Both([4, 3, 2.5], [4.2, 3.5, 3.1]));
        XElement[] lines = Lines(svg);
        Assert.HasCount(4, lines, "two curves and their samples in the legend");
        string[] dashes = [.. lines.Select(line => line.Attribute("stroke-dasharray")!.Value).Distinct()];
        CollectionAssert.AreEquivalent(new[] { "", "6 4" }, dashes);
        CollectionAssert.IsSubsetOf(new[] { "step", "loss (nats per token)", "training", "validation" }, Texts(svg));

        string[] titles = [.. Marks(svg, "circle").Select(mark => mark.Parent!.Value)];
        CollectionAssert.AreEqual(
            new[] { "training loss 4.0000 at step 1", "training loss 3.0000 at step 2", "training loss 2.5000 at step 3" }, titles);
        Assert.HasCount(3, Marks(svg, "rect"));
    }

    [TestMethod]
    public void Draw_Points_LieWhereTheAxesSay()
    {
        XElement svg = Draw(Records(4, 3, 2));
        (double x, double y)[] marks = [.. Marks(svg, "circle").Select(mark =>
             (double.Parse(mark.Attribute("cx")!.Value), double.Parse(mark.Attribute("cy")!.Value)))];
        (double zero, double three) = (Label(svg, "0", "x"), Label(svg, "3", "x"));
        (double two, double four) = (Label(svg, "2.0", "y") - 4, Label(svg, "4.0", "y") - 4);
        for (int i = 0; i < 3; i++)
        {
            Assert.AreEqual(zero + (three - zero) * (i + 1) / 3, marks[i].x, 0.02);
            Assert.AreEqual(four + (two - four) * i / 2, marks[i].y, 0.02);
        }
    }

    [TestMethod]
    public void Draw_OneRecord_IsAMark()
    {
        XElement svg = Draw(Records(3));
        Assert.HasCount(1, Lines(svg), "the legend's");
        Assert.HasCount(1, Marks(svg, "circle"));
        CollectionAssert.DoesNotContain(Texts(svg), "validation");
    }

    [TestMethod]
    public void Draw_GapsAmongManyRecords_MarkOnlyLonelyPoints()
    {
        XElement svg = Draw(Records([.. Enumerable.Range(0, 100).Select(i => i is 10 or 12 ? double.NaN : 3 - i * 0.01)]));
        Assert.HasCount(3, Lines(svg), "before the gap, after it, the legend's");
        Assert.AreEqual("training loss 2.8900 at step 12", Marks(svg, "circle").Single().Parent!.Value);
    }

    [TestMethod]
    public void Draw_NothingFinite_HasAxesAlone()
    {
        XElement svg = Draw(Records(double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue));
        Assert.IsEmpty(Lines(svg));
        CollectionAssert.Contains(Texts(svg), "loss (nats per token)");
        Assert.IsFalse(svg.ToString().Contains("NaN", StringComparison.Ordinal));
    }

    [TestMethod]
    public void Draw_ManyRecords_StaysSmall()
    {
        double[] training = [.. Enumerable.Range(0, 50_000).Select(i => 3 + Math.Sin(i))];
        string svg = LossCurve.Draw([.. Both(training, [.. Enumerable.Repeat(2.0, 50_000)])]);
        Assert.IsLessThan(20_000, svg.Length);
    }

    internal static IEnumerable<TrainingRecord> Records(params double[] losses) => losses.Select((loss, i) => Record(i + 1, loss, null));

    internal static IEnumerable<TrainingRecord> Both(double[] training, double[] validation) =>
        training.Zip(validation).Select((pair, i) => Record(i + 1, pair.First, pair.Second));

    private static TrainingRecord Record(int step, double training, double? validation) => new()
    {
        Epoch = step,
        Step = step,
        TrainingLoss = training,
        ValidationLoss = validation,
        LearningRate = 1e-3,
        GradientNorm = 1,
        SkippedSteps = 0,
        Tokens = 1000 * step,
        Elapsed = TimeSpan.FromSeconds(step),
    };

    private static XElement Draw(IEnumerable<TrainingRecord> records) => XElement.Parse(LossCurve.Draw([.. records]));

    private static XElement[] Lines(XElement svg) =>
        [.. svg.Elements(Shown.Svg + "path").Where(path => path.Attribute("stroke-dasharray") is not null)];

    // The legend's have no title.
    private static XElement[] Marks(XElement svg, string shape) =>
        [.. svg.Descendants(Shown.Svg + shape).Where(mark => mark.Parent!.Value.Length > 0)];

    private static string[] Texts(XElement svg) => [.. svg.Elements(Shown.Svg + "text").Select(text => text.Value)];

    private static double Label(XElement svg, string text, string coordinate) =>
        double.Parse(svg.Elements(Shown.Svg + "text").Single(label => label.Value == text).Attribute(coordinate)!.Value);
}
