using System.Xml.Linq;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class HistoryDisplayTests
{
    [TestMethod]
    public void Notebook_History_IsItsCurveAndSummary()
    {
        var history = new TrainingHistory([.. LossCurveTests.Both([4, 3, 2.5], [4.2, 3.1, 3.5])]);
        XElement html = Shown.Html(history);
        Assert.IsNotNull(html.Element(Shown.Svg + "svg"));
        Assert.AreEqual(
            "epoch 3, step 3, 3,000 tokens in 00:00:03: training loss 2.5000, validation loss 3.5000; best validation loss 3.1000 at step 2",
            html.Element("div")!.Value);
        Assert.AreEqual(html.Element("div")!.Value, history.ToString());
    }

    [TestMethod]
    public void Notebook_EmptyHistory_SaysSo()
    {
        XElement html = Shown.Html(new TrainingHistory([]));
        Assert.IsNull(html.Element(Shown.Svg + "svg"));
        Assert.AreEqual("no training history", html.Value);
    }
}
