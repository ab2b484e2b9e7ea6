using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class HtmlDisplayTests
{
    [TestMethod]
    [DataRow(typeof(LeapLanguageModelTransformer))]
    [DataRow(typeof(LanguageModelMetrics))]
    [DataRow(typeof(TrainingHistory))]
    [DataRow(typeof(TrainingProgress))]
    [DataRow(typeof(FocusReport))]
    public void Notebook_Type_IsPreferablyShownAsHtml(Type type) =>
        Assert.AreEqual("text/html", Formatter.GetPreferredMimeTypesFor(type).First());

    [TestMethod]
    public void Format_ValueOfAnotherType_IsLeftToOthers()
    {
        using var writer = new StringWriter();
        Assert.IsFalse(new MetricsDisplay().Format("metrics", writer));
        Assert.AreEqual("", writer.ToString());
    }

    [TestMethod]
    public void Package_ReferencesNoNotebook() => Assert.IsFalse(typeof(LeapCatalog).Assembly.GetReferencedAssemblies()
        .Any(name => name.Name!.Contains("Interactive", StringComparison.Ordinal)));
}
