using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ContextCommandTests
{
    [TestMethod]
    public void Context_OfTinyLengths_WritesARowForEach()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "context.json");

        int code = ContextCommand.Create().Parse(
            ["--json", path, "--lengths", "8", "16", "--step-tokens", "32", "--layers", "1", "--hidden", "8", "--seconds", "0"]).Invoke();

        Assert.AreEqual(0, code);
        JsonArray rows = JsonNode.Parse(File.ReadAllText(path))!["rows"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 8, 16 }, rows.Select(row => (int)row!["contextLength"]!).ToArray());
        CollectionAssert.AreEqual(new[] { 4, 2 }, rows.Select(row => (int)row!["batchSize"]!).ToArray(), "constant tokens per step");
        foreach (JsonNode? row in rows)
        {
            Assert.IsTrue((double)row!["tokensPerSecondLeap"]! > 0);
            Assert.IsTrue((double)row["tokensPerSecondGpt2"]! > 0);
            Assert.AreEqual(3, (int)row["pairs"]!);
        }
    }

    [TestMethod]
    public void LeapSlowestToFastest_OfRows_IsTheSpreadOfLeapAlone()
    {
        var report = new ContextReport
        {
            Machine = MachineFacts.Collect(),
            Precision = "fp32",
            MatmulGflopsFloat32 = 1,
            MatmulGflopsBFloat16 = 1,
            Shape = "",
            Rows = [new(512, 2, 3, 110, 100, 1.1), new(1024, 1, 3, 100, 10, 10), new(2048, 1, 3, 105, 1, 105)],
        };
        Assert.AreEqual(1.1, report.LeapSlowestToFastest, 1e-12);
    }
}
