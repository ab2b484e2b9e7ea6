namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DisplayTextTests
{
    [TestMethod]
    [DataRow(1234.5, "1,234.50")]
    [DataRow(double.NaN, "—")]
    [DataRow(double.PositiveInfinity, "∞")]
    [DataRow(double.NegativeInfinity, "-∞")]
    public void Number_Value_IsReadable(double value, string expected) => Assert.AreEqual(expected, DisplayText.Number(value, "N2"));

    [TestMethod]
    public void Duration_OfDays_CountsHours() => Assert.AreEqual("50:30:07", DisplayText.Duration(new TimeSpan(2, 2, 30, 7)));

    [TestMethod]
    public void Html_HostileText_IsTextOfXml() =>
        Assert.AreEqual("&lt;b&gt;&amp;&quot;&#39;␀↵⇥␡\ufffd\ufffd", DisplayText.Html("<b>&\"'\0\n\t\u007f\uffff\ud800"));
}
