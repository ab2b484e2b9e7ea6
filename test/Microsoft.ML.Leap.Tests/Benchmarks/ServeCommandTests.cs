using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ServeCommandTests
{
    [TestMethod]
    public void Serve_TinyModel_WritesEveryFigure()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "serve.json");
        string zip = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Context.Model.Save(TrainedModel.Transformer, TinyModel.View(TrainedModel.Context).Schema, zip);

        int code = ServeCommand.Create().Parse(["--json", path, "--model", zip, "--seconds", "1", "--tokens", "10", "--clients", "1", "3"]).Invoke();

        Assert.AreEqual(0, code);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        JsonArray clients = json["clients"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 1, 3 }, clients.Select(row => (int)row!["clients"]!).ToArray());
        foreach (JsonNode? row in clients)
        {
            Assert.IsGreaterThan(0, (double)row!["tokensPerSecond"]!);
            Assert.IsGreaterThan(0, (double)row["millisecondsToFirstToken95"]!);
        }

        Assert.IsGreaterThan(0, (double)json["scoreRequestsPerSecond"]!);
    }

    [TestMethod]
    public void Serve_NoClients_IsRefused() => Assert.AreNotEqual(0, ServeCommand.Create().Parse(["--clients", "0"]).Invoke());
}
