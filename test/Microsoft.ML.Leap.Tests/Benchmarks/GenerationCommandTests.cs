using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GenerationCommandTests
{
    [TestMethod]
    public void Generation_OfTinySizes_WritesEveryFigure()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "generation.json");
        string[] sizes =
            ["--layers", "2", "--hidden", "16", "--heads", "2", "--vocabulary", "50", "--context", "32", "--long-context", "64"];

        int code = GenerationCommand.Create().Parse(["--json", path, "--rounds", "2", "--positions", "5", "40", "3000", .. sizes]).Invoke();

        Assert.AreEqual(0, code);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        JsonArray positions = json["positions"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 5, 40, 3000 }, positions.Select(row => (int)row!["position"]!).ToArray());
        Assert.IsTrue(positions.All(row => (double)row!["millisecondsPerToken"]! > 0));
        string[] keys =
        [
            "tokensPerSecond1", "tokensPerSecond16", "recomputeMillisecondsPerToken2048", "recomputeLastLogitsMillisecondsPerToken2048",
            "gpt2CacheMillisecondsPerToken2048", "gpt2CacheMillisecondsPerToken16384", "matmulGflopsFloat32",
        ];
        foreach (string key in keys)
            Assert.IsTrue((double)json[key]! > 0, key);
        var config = new LeapConfig(50, 16, 32, 2, 2, usePositionEmbeddings: false);
        using var state = new NetworkState(config);
        Assert.AreEqual(state.SizeInBytes, (long)json["stateBytes"]!);
    }
}
