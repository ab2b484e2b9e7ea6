using System.Text.Json;
using Microsoft.ML.Leap.Benchmarks;
using QuickStart;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class RecipesTests
{
    [TestMethod]
    public void Read_Lines_PartsTheDistinctOnesInTheSameWayEachTime()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "text.txt");
        File.WriteAllLines(path, Enumerable.Range(0, 40).SelectMany(i => new[] { $"line {i}", "", $"line {i / 2}" }));

        HeldOutRows rows = HeldOutRows.Read(path, trainingRows: 15);
        HeldOutRows all = HeldOutRows.Read(path, trainingRows: null);

        Assert.HasCount(10, rows.HeldOut);
        Assert.HasCount(15, rows.Training);
        CollectionAssert.AreEqual(rows.HeldOut, all.HeldOut);
        CollectionAssert.AreEqual(rows.Training, all.Training[..15]);
        CollectionAssert.AllItemsAreUnique(all.Training.Concat(all.HeldOut).ToArray());
        Assert.HasCount(30, all.Training);
    }

    [TestMethod]
    public void Run_OnAFewLines_ReportsEveryContestant()
    {
        string[] lines = [.. Enumerable.Range(0, 60).Select(i => $"the {(i % 2 == 0 ? "cat" : "dog")} number {i} sat on the mat")];

        RecipesReport report = RecipesBenchmark.Run(new HeldOutRows(lines[..50], lines[50..]), TimeSpan.FromSeconds(3), leapOnly: true);

        Assert.IsTrue(report.BitsPerByteLeap is > 0 and < 8);
        Assert.IsTrue(report.BitsPerByteLeap < report.BitsPerByteLeapEach, "The held-out rows repeat each other.");
        Assert.IsTrue(report.BitsPerByteBigram < report.BitsPerByteUnigram);
        Assert.IsTrue(report.BitsPerByteBigram < report.BitsPerByteBigramEach);
        Assert.AreEqual(Math.Min(report.BitsPerByteNgramOfBytes, report.BitsPerByteNgramOfTokens), report.BitsPerByteNgram);
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "r.json");
        JsonReport.Write(path, report);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(path));
        foreach (string key in new[] { "bitsPerByteLeap", "bitsPerByteLeapEach", "bitsPerByteLeapAlone", "bitsPerByteUnigram", "bitsPerByteBigram", "bitsPerByteNgram", "secondsLeap", "chosen" })
            Assert.IsTrue(json.RootElement.TryGetProperty(key, out _), key);
    }

    [TestMethod]
    public void Measure_Gpt2OnRepeatedRows_LearnsThemInNoMoreTimeThanLeap()
    {
        string[] lines = [.. Enumerable.Range(0, 60).Select(i => $"the {(i % 2 == 0 ? "cat" : "dog")} sat on mat {i % 5}")];
        var rows = new HeldOutRows(lines[..50], lines[50..]);
        var context = new MLContext(seed: 1);
        using LeapLanguageModelTransformer leap = context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options { Epochs = 30, LayerCount = 1 })
            .Fit(context.Data.LoadFromEnumerable(rows.Training.Select(text => new { Text = text })));

        Gpt2Result gpt2 = Gpt2Rival.Measure(rows, leap);

        Assert.IsTrue(gpt2.Alone is > 0 and < 4, $"{gpt2.Alone}: letters drawn blindly cost more than 4 bits each.");
        Assert.IsTrue(gpt2.Each is > 0 and < 1, $"{gpt2.Each}: the memory has seen each row whole.");
        Assert.IsTrue(gpt2.Reading is > 0 and < 1, $"{gpt2.Reading}: so has the running memory, and it learns on.");
        Assert.IsTrue(gpt2.Seconds <= leap.History.Records[^1].Elapsed.TotalSeconds + 1);
    }

    [TestMethod]
    public void BitsPerByte_ProgramAbsent_IsNull() =>
        Assert.IsNull(Compressor.BitsPerByte(["a"], ["b"], ("no-such-program-of-leap", _ => [])));

    [TestMethod]
    public void BitsPerByte_OfCopying_IsTheHeldOutTextWithItsLineEnds()
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("There is no cat.");
        Assert.AreEqual((3 + 1 + 2 + 1) * 8 / 5.0, Compressor.BitsPerByte(["abcdef", "g"], ["xyz", "é"], ("cat", _ => [])));
    }

    // More text than a pipe holds: the program ends before it is written.
    [TestMethod]
    public void BitsPerByte_ProgramFails_ThrowsWithItsName()
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("There is no false.");
        string[] rows = [new('a', 1 << 20)];
        var e = Assert.ThrowsExactly<InvalidOperationException>(() => Compressor.BitsPerByte(rows, rows, ("false", _ => [])));
        Assert.Contains("false ended with the exit code 1", e.Message);
    }

    [TestMethod]
    public void BitsPerByteEach_OfCopying_IsTheHeldOutTextWithoutLineEnds()
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("There is no cat.");
        Assert.AreEqual((3 + 2) * 8 / 5.0, Compressor.BitsPerByteEach(["abcdef", "g"], ["xyz", "é"], ("cat", _ => [])));
        Assert.IsNull(Compressor.BitsPerByteEach(["a"], ["b"], ("no-such-program-of-leap", _ => [])));
    }

    [TestMethod]
    public void Area_OfScores_CountsPairsInOrder()
    {
        Assert.AreEqual(1, RocCurve.Area([1, 2], [3, 4]));
        Assert.AreEqual(0, RocCurve.Area([3], [1]));
        Assert.AreEqual(0.5, RocCurve.Area([1, 1], [1]));
        Assert.AreEqual(0.75, RocCurve.Area([1, 3], [2, 4]));
    }
}
