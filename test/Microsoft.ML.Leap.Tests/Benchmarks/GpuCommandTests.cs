using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GpuCommandTests
{
    [TestMethod]
    public void Gpu_OneCheckFails_SaysSoAndRunsTheRest()
    {
        using var empty = new TemporaryFolder();
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "gpu.json");

        int code = GpuCommand.Create().Parse(
            ["--device", "cpu", "--only", "parity", "library", "--fixtures", empty.Path, "--about", "a test", "--json", path]).Invoke();

        Assert.AreEqual(1, code);
        JsonNode report = JsonNode.Parse(File.ReadAllText(path))!;
        Assert.AreEqual("a test", (string)report["about"]![0]!);
        JsonArray checks = report["checks"]!.AsArray();
        Assert.IsFalse((bool)checks[0]!["isPassed"]!);
        StringAssert.Contains((string)checks[0]!["message"]!, "has no reference cases");
        Assert.IsTrue((bool)checks[1]!["isPassed"]!, (string)checks[1]!["message"]!);
        StringAssert.Contains((string)checks[1]!["message"]!, "computes on cpu");
        Assert.IsNotNull(checks[1]!["figures"]!["processor"]);
    }

    [TestMethod]
    public void Parity_OfTheFixtures_AgreesInTheOperationsOfAGpu()
    {
        var settings = new GpuSettings("cpu", new DirectoryInfo(Path.Combine(AppContext.BaseDirectory, "Fixtures")), new FileInfo("unused"));
        try
        {
            (bool isPassed, string message, _) = GpuChecks.Run("parity", settings);
            Assert.IsTrue(isPassed, message);
        }
        finally
        {
            RawMemory.IsHidden = false;
        }
    }
}
