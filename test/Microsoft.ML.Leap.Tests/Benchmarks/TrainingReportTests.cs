using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingReportTests
{
    private static readonly string[] Keys =
    [
        "tokensPerSecondLeap", "tokensPerSecondNaive", "tokensPerSecondNaiveTunedAllocator", "tokensPerSecondGpt2", "matmulGflopsFloat32",
        "matmulGflopsBFloat16", "limitFraction", "peakMegabytesLeap", "peakMegabytesNaive", "peakMegabytesGpt2",
    ];

    [TestMethod]
    [DataRow(false, 100.0)]
    [DataRow(true, 400.0)]
    public void Of_Rounds_GivesMediansOfTimesAndOfPairs(bool usesBFloat16, double rate)
    {
        var shape = new TrainingShape { UsesBFloat16 = usesBFloat16 };
        TrainingRound[] rounds = [Round(1), Round(2), Round(10)];

        TrainingReport report = TrainingReport.FromRounds(MachineFacts.Collect(), shape, rounds, Facts());

        Assert.AreEqual(4096 / 2.0, report.TokensPerSecondLeap);
        Assert.AreEqual(4096 / 6.0, report.TokensPerSecondGpt2, 1e-9);
        Assert.AreEqual(3, report.RatioToGpt2, 1e-9);
        Assert.AreEqual(5, report.RatioToNaiveTunedAllocator, 1e-9);
        Assert.AreEqual(20, report.RatioToNaive, 1e-9);
        Assert.AreEqual(100, report.MatmulGflopsFloat32);
        Assert.AreEqual(400, report.MatmulGflopsBFloat16);
        Assert.AreEqual(ProductWork.OperationsPerStep(shape) / (rate * 1e9) / 2, report.LimitFraction, 1e-9);
        Assert.AreEqual((1, 3, 4, 2), (report.PeakMegabytesLeap, report.PeakMegabytesNaiveTunedAllocator, report.PeakMegabytesNaive, report.PeakMegabytesGpt2));
        Assert.AreEqual(2000, report.StepMillisecondsLeap, 1e-9);
        Assert.AreEqual(200, report.OtherMilliseconds, 1e-9);
    }

    [TestMethod]
    public void Training_OfATinyShape_WritesEveryKeyFromProcessesOfTheirOwn()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "training.json");

        int code = TrainingCommand.Create().Parse(
        [
            "--rounds", "2", "--warmups", "1", "--json", path,
            "--layers", "2", "--hidden", "8", "--heads", "2", "--context", "16", "--vocabulary", "31", "--batch", "2",
        ]).Invoke();

        Assert.AreEqual(0, code);
        JsonNode result = JsonNode.Parse(File.ReadAllText(path))!;
        foreach (string key in Keys)
            Assert.IsTrue((double)result[key]! > 0, key);
        Assert.AreEqual(2, (int)result["rounds"]!);
        Assert.AreEqual("fp32", (string)result["precision"]!, "a network too small to gain");
    }

    // A machine that slows down from round to round, and whose rate falls with it.
    private static TrainingRound Round(double s) => new(
        new MatrixRate(100 * 2 / s, 400 * 2 / s), s, 3 * s, 5 * s, 20 * s, new PartTimes(0.1 * s, 0.2 * s, 0.3 * s, 0.3 * s));

    private static Dictionary<string, ContestantFacts> Facts() => new()
    {
        [TrainingContestant.Leap] = new(true, 1),
        [TrainingContestant.Gpt2] = new(true, 2),
        [TrainingContestant.Naive] = new(true, 3),
        [TrainingWorker.NaiveByItself] = new(false, 4),
    };
}
