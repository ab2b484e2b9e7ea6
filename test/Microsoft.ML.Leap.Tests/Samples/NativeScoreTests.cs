using System.Globalization;

namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/NativeScore, run by .NET as any program; <c>./build.sh native-check</c> compiles it ahead of time.</summary>
[TestClass]
public class NativeScoreTests
{
    private static readonly string[] Texts = ["the cat sat", "", "a dog ran to the \u00E9cole", "   ", "zzz qqq"];

    [TestMethod]
    public void NativeScore_ZipAndStandardInput_GivesTheLibrarysScores()
    {
        using var folder = new TemporaryFolder();
        string zip = SaveZip(folder);

        AssertScores(Texts, ProgramProcess.Run("NativeScore", string.Join('\n', Texts), zip));
        AssertScores(Texts, ProgramProcess.Run("NativeScore", string.Join("\r\n", Texts) + "\r\n", zip, "-"));
        Assert.AreEqual("", ProgramProcess.Run("NativeScore", "", zip));
    }

    [TestMethod]
    public void NativeScore_FolderAndFiles_ScoresTheLinesOfAllInOrder()
    {
        using var folder = new TemporaryFolder();
        string model = Path.Combine(folder.Path, "model");
        TrainedModel.Transformer.SavePretrained(model);
        string first = Path.Combine(folder.Path, "first.txt");
        string second = Path.Combine(folder.Path, "second.txt");
        File.WriteAllLines(first, Texts[..2]);
        File.WriteAllLines(second, Texts[2..]);

        AssertScores(Texts, ProgramProcess.Run("NativeScore", "", model, first, second));
        AssertScores([.. Texts[2..], "between", .. Texts[..2]], ProgramProcess.Run("NativeScore", "between", model, second, "-", first));
    }

    [TestMethod]
    public void NativeScore_FilesThatAreNone_AreNamedWithoutATrace()
    {
        using var folder = new TemporaryFolder();
        string zip = SaveZip(folder);
        string text = Path.Combine(folder.Path, "text.txt");
        string damaged = Path.Combine(folder.Path, "damaged.zip");
        File.WriteAllText(text, "no model");
        File.WriteAllBytes(damaged, File.ReadAllBytes(zip)[..^100]);

        AssertFails(1, "'nowhere.zip'", "nowhere.zip");
        AssertFails(1, "zip", text);
        AssertFails(1, "zip", damaged);
        AssertFails(1, "'nowhere.txt'", zip, text, "nowhere.txt");
        AssertFails(1, folder.Path, zip, folder.Path);
    }

    [TestMethod]
    public void NativeScore_WrongUse_SaysHow()
    {
        AssertFails(2, "usage: NativeScore MODEL [FILE...]");
        AssertFails(2, "usage: NativeScore MODEL [FILE...]", "--json", "model.zip");
        AssertFails(2, "usage: NativeScore MODEL [FILE...]", "");
        Assert.StartsWith("usage: NativeScore MODEL [FILE...]", ProgramProcess.Run("NativeScore", "", "--help"));
    }

    private static string SaveZip(TemporaryFolder folder)
    {
        string zip = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Context.Model.Save(TrainedModel.Transformer, TinyModel.View(TrainedModel.Context, TinyModel.Texts).Schema, zip);
        return zip;
    }

    // Both run on the same runtime and processor: to the last digit.
    private static void AssertScores(string[] texts, string output)
    {
        string[] expected = [.. texts.Select(text => TrainedModel.Transformer.Model.Score(text))
            .Select(score => string.Create(CultureInfo.InvariantCulture, $"{score.Perplexity}\t{score.LogLikelihood}\t{score.TokenCount}"))];
        CollectionAssert.AreEqual(expected, output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.TrimEnd('\r')).ToArray());
        Assert.IsTrue(texts.Any(text => text.Length == 0) == output.Contains("NaN\tNaN\t0", StringComparison.Ordinal));
    }

    private static void AssertFails(int exitCode, string message, params string[] arguments)
    {
        (int code, string output, string errors) = ProgramProcess.RunAny("NativeScore", "", arguments);
        Assert.AreEqual(exitCode, code, errors);
        Assert.AreEqual("", output);
        Assert.Contains(message, errors);
        Assert.DoesNotContain("   at ", errors);
    }
}
