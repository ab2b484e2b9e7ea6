using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class InferenceCommandTests
{
    private static readonly string[] Keys =
    [
        "matmulGflopsFloat32", "matmulGflopsBFloat16", "readGigabytesPerSecond", "memoryLimitFraction", "coldStartSeconds", "coldStartSecondsTorch",
        "residentMegabytes", "residentMegabytesTorch", "perplexityFloat32", "perplexityBFloat16", "perplexityInt8", "fileMegabytesFloat32",
        "fileMegabytesInt8",
    ];

    private static readonly string[] RowKeys =
        ["rowsPerSecondSingle", "rowsPerSecondBatched", "rowsPerSecondSingleTorch", "rowsPerSecondBatchedTorch"];

    private static readonly string[] PositionKeys = ["millisecondsFloat32", "millisecondsBFloat16", "millisecondsInt8"];

    [TestMethod]
    public void Inference_OfTinySizes_WritesEveryKey()
    {
        using var folder = new TemporaryFolder();
        string model = Path.Combine(folder.Path, "model");
        TrainedModel.Transformer.SavePretrained(model);
        string texts = Path.Combine(folder.Path, "texts.txt");
        File.WriteAllLines(texts, TinyModel.Texts.Take(20));
        string path = Path.Combine(folder.Path, "inference.json");

        int code = InferenceCommand.Create().Parse(
        [
            "--quick", "--json", path, "--model", model, "--texts", texts, "--tokens", "4", "40", "--vocabulary", "600", "--context", "16",
            "--positions", "5", "40", "3000", "--step-vocabulary", "50",
        ]).Invoke();

        Assert.AreEqual(0, code);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        foreach (string key in Keys)
            Assert.IsTrue((double)json[key]! > 0, key);
        RequireRows(json["rows"]!.AsArray(), "tokens", [4, 40], RowKeys);
        RequireRows(json["positions"]!.AsArray(), "position", [5, 40, 3000], PositionKeys);
        int[] threads = [.. json["threads"]!.AsArray().Select(result => (int)result!["threads"]!)];
        CollectionAssert.Contains(threads, 1);
        CollectionAssert.Contains(threads, 2);
        Assert.AreEqual(Environment.ProcessorCount, threads[^1]);
    }

    private static void RequireRows(JsonArray rows, string key, int[] values, string[] figures)
    {
        CollectionAssert.AreEqual(values, rows.Select(row => (int)row![key]!).ToArray());
        foreach (string figure in figures)
            Assert.IsTrue(rows.All(row => (double)row![figure]! > 0), figure);
    }
}
