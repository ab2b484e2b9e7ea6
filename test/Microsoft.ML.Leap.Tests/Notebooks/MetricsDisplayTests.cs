using System.Globalization;
using System.Xml.Linq;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MetricsDisplayTests
{
    [TestMethod]
    public void Notebook_Metrics_AreATableWithUnits()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("de-DE");
            Dictionary<string, string> rows = Shown.Rows(Shown.Html(new LanguageModelMetrics(-2000 * Math.Log(2), 1000, 250, 1500, 7)));
            Assert.AreEqual("1.3863 nats per token", rows["Cross-entropy"]);
            Assert.AreEqual("4.00 per token", rows["Perplexity"]);
            Assert.AreEqual("256.00 per word", rows["Word perplexity"]);
            Assert.AreEqual("2.520 per byte", rows["Byte perplexity"]);
            Assert.AreEqual("1.333 bits", rows["Bits per byte"]);
            Assert.AreEqual("-1,386.3 nats", rows["Log-likelihood"]);
            Assert.AreEqual("1,000", rows["Tokens"]);
            Assert.AreEqual("250", rows["Words"]);
            Assert.AreEqual("1,500", rows["Bytes"]);
            Assert.AreEqual("7", rows["Documents"]);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [TestMethod]
    public void Notebook_UnknownFigures_AreDashes()
    {
        Dictionary<string, string> rows = Shown.Rows(Shown.Html(new LanguageModelMetrics(0, 0, 0, 0)));
        foreach (string name in (string[])["Cross-entropy", "Perplexity", "Word perplexity", "Byte perplexity", "Bits per byte", "Words", "Bytes"])
            Assert.AreEqual("—", rows[name], name);
        Assert.AreEqual("0", rows["Tokens"]);
    }

    [TestMethod]
    public void Notebook_PerplexityThatOverflows_IsInfinite() =>
        Assert.AreEqual("∞ per word", Shown.Rows(Shown.Html(new LanguageModelMetrics(-1e6, 1000, 1, 5)))["Word perplexity"]);

    [TestMethod]
    public void Notebook_PositionBuckets_AreShownOnDemand()
    {
        XElement html = Shown.Html(new LanguageModelMetrics(-3, 2, 1, 2, 1,
        [
            new() { FirstPosition = 0, TokenCount = 2, CrossEntropy = 1.5 },
            new() { FirstPosition = 64, TokenCount = 0, CrossEntropy = double.NaN },
        ]));
        Dictionary<string, string> rows = Shown.Rows(html.Element("details")!);
        Assert.AreEqual("1.5000 nats per token, 2 tokens", rows["from 0"]);
        Assert.AreEqual("—, 0 tokens", rows["from 64"]);
    }
}
