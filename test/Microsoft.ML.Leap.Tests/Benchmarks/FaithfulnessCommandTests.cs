using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class FaithfulnessCommandTests
{
    [TestMethod]
    public void Faithfulness_OfTinyModels_WritesTheCurvesAndTheAccuracies()
    {
        using var folder = new TemporaryFolder();
        string texts = Path.Combine(folder.Path, "texts.txt");
        string path = Path.Combine(folder.Path, "faithfulness.json");
        File.WriteAllLines(texts, Enumerable.Range(0, 200).Select(i =>
            string.Join(' ', Enumerable.Range(i, 40).Select(k => TinyModel.Texts[k % 7].Split(' ')[0] + k % 9))));

        int code = FaithfulnessCommand.Create().Parse(
        [
            "--json", path, "--texts", texts, "--characters", "6000", "--count", "4", "--context", "128", "--planted-steps", "2",
            "--sequences", "8", "--distances", "5", "12",
        ]).Invoke();

        Assert.AreEqual(0, code);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        foreach (JsonNode report in (JsonNode[])[json, json["plantedKeyDeletion"]!])
        {
            foreach (string name in (string[])["mostFocused", "random", "leastFocused"])
            {
                JsonNode curve = report[name]!;
                Assert.IsTrue((double)curve["low"]! <= (double)curve["mean"]! && (double)curve["mean"]! <= (double)curve["high"]!);
                Assert.HasCount(5, curve["points"]!.AsArray());
            }
        }

        JsonArray planted = json["plantedKey"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 5, 12 }, planted.Select(row => (int)row!["distance"]!).ToArray());
        foreach (JsonNode? row in planted)
        {
            Assert.AreEqual(0.125, (double)row!["chance"]!);
            Assert.IsTrue((double)row["accuracyGlobal"]! is >= 0 and <= 1 && (double)row["accuracyLocalOnly"]! is >= 0 and <= 1);
        }
    }

    [TestMethod]
    public void Interval_OfSamples_IsTheMeanAndItsStandardErrors()
    {
        var interval = Interval.FromSamples([1, 2, 3, 4]);
        Assert.AreEqual(2.5, interval.Mean);
        double half = 1.96 * Math.Sqrt(5.0 / 3 / 4);
        Assert.AreEqual(2.5 - half, interval.Low, 1e-12);
        Assert.AreEqual(2.5 + half, interval.High, 1e-12);
        Assert.ThrowsExactly<ArgumentException>(() => Interval.FromSamples([1]));
    }

    [TestMethod]
    public void SpearmanCorrelation_OfRanks_IsTheirPearsonCorrelation()
    {
        Assert.AreEqual(1, FocusRanking.SpearmanCorrelation([1, 5, 9], [2, 3, 40]), 1e-12);
        Assert.AreEqual(-1, FocusRanking.SpearmanCorrelation([1, 5, 9], [40, 3, 2]), 1e-12);

        // 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, -1, 1, 0.
        Assert.AreEqual(1 - 6.0 * 2 / (4 * 15), FocusRanking.SpearmanCorrelation([1, 2, 3, 4], [1, 3, 2, 4]), 1e-12);
    }

    [TestMethod]
    public void Make_PlantedKey_EndsWithItsAnswerAtTheDistance()
    {
        var random = new Random(3);
        for (int i = 0; i < 50; i++)
        {
            int[] ids = PlantedKeyTask.Make(random, 7);
            Assert.HasCount(1 + 1 + 6 + 1 + 1, ids);
            Assert.AreEqual(PlantedKeyTask.KeyCount, ids[^1] - ids[PlantedKeyTask.KeyPlace]);
            Assert.IsTrue(ids[2..8].All(id => id >= PlantedKeyTask.VocabularySize - PlantedKeyTask.FillerKinds));
        }
    }

    [TestMethod]
    public void MeanShare_OfFirstTokens_EqualsTheReportsShares()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(TrainedModel.Context, options => options.UseForgetGates = false);
        int[] ids = [model.Tokenizer.EndOfTextId, .. model.Tokenizer.Encode("the cat sat")];
        double[] actual = FocusRanking.MeanShare(model.Model.Network, new DeletionCase(ids, 3, 8));

        FocusReport report = model.Explain("the cat sat");
        for (int j = 1; j <= 3; j++)
        {
            double expected = Enumerable.Range(0, 2).Average(layer => Enumerable.Range(0, 2).Average(head => Enumerable.Range(j, ids.Length - j)
                .Where(i => i - report.WindowSizes[layer] < j).Average(i => report.GetShare(layer, head, i, j))));
            Assert.AreEqual(expected, actual[j - 1], 1e-6);
        }
    }
}
