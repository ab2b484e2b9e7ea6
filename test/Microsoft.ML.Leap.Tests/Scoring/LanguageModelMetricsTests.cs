namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LanguageModelMetricsTests
{
    [TestMethod]
    public void Metrics_OfUniformModel_AreItsChoices()
    {
        // Ten tokens, each one of eight equally likely: 3 bits each.
        var metrics = new LanguageModelMetrics(-10 * Math.Log(8), tokenCount: 10, wordCount: 5, byteCount: 30);
        Assert.AreEqual(Math.Log(8), metrics.CrossEntropy, 1e-12);
        Assert.AreEqual(8, metrics.Perplexity, 1e-9);
        Assert.AreEqual(1, metrics.BitsPerByte, 1e-12);
        Assert.AreEqual(64, metrics.WordPerplexity, 1e-9);
    }

    [TestMethod]
    public void Metrics_WithoutTextOrTokens_AreNaN()
    {
        var metrics = new LanguageModelMetrics(0, 0, 0, 0);
        Assert.IsTrue(double.IsNaN(metrics.CrossEntropy));
        Assert.IsTrue(double.IsNaN(metrics.Perplexity));
        Assert.IsTrue(double.IsNaN(metrics.BitsPerByte));
        Assert.IsTrue(double.IsNaN(metrics.WordPerplexity));
    }
}
