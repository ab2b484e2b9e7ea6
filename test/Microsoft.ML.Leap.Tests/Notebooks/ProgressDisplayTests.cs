using System.Xml.Linq;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ProgressDisplayTests
{
    internal static readonly TrainingProgress Progress = new()
    {
        Epoch = 2,
        EpochCount = 3,
        Step = 2000,
        StepCount = 3000,
        SkippedSteps = 1,
        Loss = 1.5,
        ValidationLoss = 1.25,
        LearningRate = 5e-4,
        GradientNorm = 0.5,
        TokensPerSecond = 12345.6,
        Elapsed = TimeSpan.FromHours(50.5),
        Remaining = TimeSpan.FromSeconds(61),
    };

    [TestMethod]
    public void Notebook_Progress_IsABarWithItsFigures()
    {
        XElement html = Shown.Html(Progress);
        XElement bar = html.Elements("div").Single(element => (string?)element.Attribute("role") == "progressbar");
        Assert.AreEqual("66", (string?)bar.Attribute("aria-valuenow"));
        StringAssert.Contains((string?)bar.Element("div")!.Attribute("style"), "width:66.67%;");
        foreach (string part in (string[])["epoch 2 of 3, step 2,000 of 3,000 (1 skipped)", "66 %", "loss 1.5000 nats per token, validation loss 1.2500,",
            "learning rate 5.00E-4", "gradient norm 0.500", "12,346 tokens/s", "elapsed 50:30:00", "remaining 00:01:01"])
        {
            StringAssert.Contains(html.Value, part);
        }
    }

    [TestMethod]
    [DataRow(0L, 0L, "0")]
    [DataRow(5L, 0L, "0")]
    [DataRow(2999L, 3000L, "99")]
    [DataRow(3000L, 3000L, "100")]
    [DataRow(3001L, 3000L, "100")]
    public void Notebook_StepOfSteps_IsAPercentage(long step, long count, string expected)
    {
        XElement html = Shown.Html(Progress with { Step = step, StepCount = count });
        Assert.AreEqual(expected, html.Descendants().Attributes("aria-valuenow").Single().Value);
    }

    [TestMethod]
    public void Notebook_LossThatIsNotANumber_IsADash()
    {
        string text = Shown.Html(Progress with { Loss = double.NaN, ValidationLoss = null, SkippedSteps = 0, GradientNorm = double.PositiveInfinity }).Value;
        StringAssert.Contains(text, "loss — nats per token, learning rate");
        StringAssert.Contains(text, "gradient norm ∞");
        Assert.IsFalse(text.Contains("skipped", StringComparison.Ordinal));
    }
}
