using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Tests;

namespace Leap.Tool.Tests;

/// <summary>The verbs that use a model, and what all verbs have in common.</summary>
[TestClass]
public sealed class LeapToolTests : ToolTest
{
    [TestMethod]
    public void Help_EveryVerb_HasExamplesThatParse()
    {
        string help = ToolRun.Good("--help").Output;
        string[] verbs = [.. Regex.Matches(help[help.IndexOf("Commands:", StringComparison.Ordinal)..], @"^  ([a-z]+) ", RegexOptions.Multiline).Select(match => match.Groups[1].Value)];
        Assert.IsGreaterThanOrEqualTo(8, verbs.Length, help);

        foreach (string verb in verbs)
        {
            string text = ToolRun.Good(verb, "--help").Output;
            StringAssert.Contains(text, $"leap {verb}");
            StringAssert.Contains(text, "Examples:");
            StringAssert.Contains(text, "--json", verb);
        }
    }

    [TestMethod]
    public void UnknownOption_Exits2AndIsNamed()
    {
        string rows = Write("rows.txt", "the cat sat\n");

        ToolRun.Bad(2, "There is no option --colum. Run 'leap train --help'", "train", rows, "--colum", "Body", "-o", PathOf("q.zip"));
        ToolRun.Bad(2, "There is no option --colum. ", "score", Model, rows, "--colum=Body");
        ToolRun.Bad(2, "There is no option --colum. ", "train", rows, "-o", PathOf("q.zip"), "--validation", rows, "--colum", "Body");
        ToolRun.Bad(2, "There is no option -q. ", "generate", Model, "the", "-q");
        ToolRun.Bad(2, "There is no option --tokns. ", "generate", Model, "--tokns", "5");
        Assert.IsFalse(File.Exists(PathOf("q.zip")));
    }

    [TestMethod]
    public void Argument_BeginningWithADash_IsNoOption()
    {
        // Not a file of the folder where the tests run: what counts is that the name is looked for.
        ToolRun.Bad(1, "There is no file --colum", "score", Model, "--", "--colum");
        ToolRun.Good("generate", Model, "--tokens", "2", "--", "-the");
        ToolRun.Good("generate", Model, "- the cat", "--tokens", "2", "--stop", "-the");
        ToolRun.Good("explain", Model, "-5");
    }

    [TestMethod]
    public void NoVerb_Exits2() => ToolRun.Bad(2, "leap --help");

    [TestMethod]
    public void Generate_Seed_IsTheLibrarysText()
    {
        var options = new GenerationOptions { MaximumNewTokens = 12, Temperature = 0.8, TopK = 5, Seed = 3, PositionPolicy = PositionPolicy.Restart };
        string expected = TrainedModel.Transformer.Model.Generate("the ", options);

        string text = ToolRun.Good("generate", Model, "the ", "--tokens", "12", "--temperature", "0.8", "--top-k", "5", "--seed", "3").Output;
        string[] lines = ToolRun.Good("generate", Model, "the ", "--tokens", "12", "--temperature", "0.8", "--top-k", "5", "--seed", "3", "-n", "2", "--json").Lines;

        Assert.AreEqual($"the {expected}\n", text.ReplaceLineEndings("\n"));
        Assert.AreEqual(expected, JsonElement.Parse(lines[0]).GetProperty("text").GetString());
        Assert.AreEqual(
            TrainedModel.Transformer.Model.Generate("the ", options with { Seed = 4 }), JsonElement.Parse(lines[1]).GetProperty("text").GetString());
    }

    [TestMethod]
    public void Generate_CultureWithDecimalComma_NumbersAreReadWithAPoint()
    {
        string[] command = ["generate", Model, "the ", "--tokens", "12", "--temperature", "0.8", "--top-p", "0.9", "--seed", "3"];
        string expected = ToolRun.Good(command).Output;
        CultureInfo before = CultureInfo.CurrentCulture;
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        comma.NumberFormat.NumberGroupSeparator = ".";
        try
        {
            CultureInfo.CurrentCulture = comma;

            Assert.AreEqual(expected, ToolRun.Good(command).Output);
            ToolRun.Bad(2, "--temperature must be a number, but is '0,8x'", "generate", Model, "the ", "--temperature", "0,8x");
            Assert.AreSame(comma, CultureInfo.CurrentCulture, "the caller's culture stays");
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [TestMethod]
    public void Explain_Files_AreTheReports()
    {
        const string text = "the cat sat";
        FocusReport report = TrainedModel.Transformer.Explain(text);

        foreach ((string name, string expected) in new[] { ("a.html", report.ToHtml()), ("a.svg", report.ToSvg()), ("a.json", report.ToJson()) })
        {
            ToolRun.Good("explain", Model, text, "-o", PathOf(name));
            Assert.AreEqual(expected, File.ReadAllText(PathOf(name)));
        }

        Assert.AreEqual(report.ToJson(), ToolRun.Good("explain", Model, text, "--json").Output.TrimEnd('\r', '\n'));
    }

    [TestMethod]
    public void Explain_Terminal_ShowsTextFiguresAndTheStrangestWord()
    {
        string output = ToolRun.Good("explain", Model, "[a] zzqq mat").Output;

        StringAssert.Contains(output, "[a] zzqq mat");
        StringAssert.Contains(output, "perplexity ");
        string first = output[output.IndexOf("at character", StringComparison.Ordinal)..].Split('\n').First(line => line.Contains('\'', StringComparison.Ordinal));
        StringAssert.Contains(first, "'zzqq'");
    }

    [TestMethod]
    public void Explain_EmptyText_SaysNothing() => Assert.AreEqual("", ToolRun.Good("explain", Model, "").Output.Trim());

    [TestMethod]
    public void Evaluate_Protocols_AreTheLibrarysFigures()
    {
        string path = Write("a.txt", string.Join('\n', TinyModel.Texts));
        foreach ((string[] arguments, EvaluationOptions options) in new (string[], EvaluationOptions)[]
        {
            ([], new EvaluationOptions()),
            (["--protocol", "rolling"], EvaluationOptions.RollingDocuments),
            (["--protocol", "notebook"], EvaluationOptions.LeapNotebook),
            (["--mode", "strided", "--stride", "3", "--block", "8", "--end-of-text", "scored"],
                new EvaluationOptions { Mode = EvaluationMode.Strided, Stride = 3, BlockLength = 8, EndOfText = EndOfTextHandling.Scored }),
        })
        {
            JsonElement figures = JsonElement.Parse(ToolRun.Good(["evaluate", Model, path, "--json", .. arguments]).Output);

            LanguageModelMetrics expected = TrainedModel.Transformer.Model.Evaluate(TinyModel.Texts, options);
            Assert.AreEqual(expected.Perplexity, figures.GetProperty("perplexity").GetDouble(), 1e-6, string.Join(' ', arguments));
            Assert.AreEqual(expected.TokenCount, figures.GetProperty("tokens").GetInt64());
        }

        StringAssert.Contains(ToolRun.Good("evaluate", Model, path).Output, "bits per byte");
    }

    [TestMethod]
    public void Convert_FolderAndBack_ScoresStay()
    {
        string folder = PathOf("folder"), zip = PathOf("back.zip"), small = PathOf("small");
        ToolRun.Good("convert", Model, "-o", folder);
        ToolRun.Good("convert", folder, "-o", zip);
        ToolRun.Good("convert", Model, "-o", small, "--weights", "int8");

        double expected = TrainedModel.Transformer.Model.Score("the cat").LogLikelihood;
        using LeapLanguageModel again = LeapLanguageModel.Load(zip), rounded = LeapLanguageModel.Load(small);
        Assert.AreEqual(expected, again.Score("the cat").LogLikelihood);
        Assert.AreEqual(expected, rounded.Score("the cat").LogLikelihood, 0.05 * Math.Abs(expected));
        Assert.IsLessThan(new FileInfo(Path.Combine(folder, "model.safetensors")).Length / 2, new FileInfo(Path.Combine(small, "model.safetensors")).Length);

        ToolRun.Bad(2, "not empty", "convert", Model, "-o", folder);
        ToolRun.Bad(2, "the model itself", "convert", Model, "-o", Model);
        Directory.CreateDirectory(PathOf("folder.zip"));
        ToolRun.Bad(2, "is a folder", "convert", Model, "-o", PathOf("folder.zip"));
        Directory.CreateDirectory(PathOf("folder.svg"));
        ToolRun.Bad(2, "is a folder", "explain", Model, "the cat", "-o", PathOf("folder.svg"));
    }

    [TestMethod]
    [DataRow("bfloat16", 0.6, 0.02)]
    [DataRow("int8", 0.4, 0.05)]
    public void Convert_ZipOfSmallWeights_EveryVerbReadsIt(string weights, double share, double difference)
    {
        string text = Write("a.txt", string.Join('\n', TinyModel.Texts)), trained = PathOf("trained.zip"), small = PathOf("small.zip"), back = PathOf("back.zip");
        ToolRun.Good("train", text, "--initial", Model, "-o", trained, "--epochs", "1", "--device", "cpu", "--memory", "0", "--held-out", "0", "--license", "CC0");
        using LeapLanguageModel exact = LeapLanguageModel.Load(trained);
        double expected = exact.Score("the cat").LogLikelihood;

        ToolRun.Good("convert", trained, "-o", small, "--weights", weights);

        using LeapLanguageModel rounded = LeapLanguageModel.Load(small);
        double found = rounded.Score("the cat").LogLikelihood;
        Assert.AreEqual(expected, found, difference * Math.Abs(expected));
        Assert.IsLessThan(share * WeightsOf(trained), WeightsOf(small));
        JsonElement info = JsonElement.Parse(ToolRun.Good("info", small, "--json").Output);
        Assert.AreEqual("CC0", info.GetProperty("license").GetString());
        Assert.AreEqual(exact.Config.HiddenSize, info.GetProperty("hiddenSize").GetInt32());
        StringAssert.Contains(ToolRun.Good("evaluate", small, text).Output, "bits per byte");
        ToolRun.Good("train", text, "--initial", small, "-o", PathOf("further.zip"), "--epochs", "1", "--device", "cpu", "--memory", "0", "--held-out", "0");

        ToolRun.Good("convert", small, "-o", back);
        using var context = new MLContext().Model.Load(back, out _) as IDisposable;
        using LeapLanguageModel again = LeapLanguageModel.Load(back);
        Assert.AreEqual(found, again.Score("the cat").LogLikelihood, 1e-9);
        Assert.IsEmpty(Directory.GetFiles(Folder, "*.part"));

        static long WeightsOf(string path)
        {
            using ZipArchive zip = ZipFile.OpenRead(path);
            return zip.Entries.Single(entry => entry.Name == "model.safetensors").Length;
        }
    }

    [TestMethod]
    public void Backend_IsThere_TellsWhere()
    {
        JsonElement result = JsonElement.Parse(ToolRun.Good("backend", "--json").Output);

        Assert.IsTrue(File.Exists(result.GetProperty("path").GetString()));
    }

    [TestMethod]
    public void BadModels_EndInOneSentence()
    {
        string nothing = Write("nothing.zip", "no zip"), text = Write("a.txt", "one\n");

        foreach (string[] arguments in new string[][]
        {
            ["score", nothing, text], ["generate", nothing, "x"], ["explain", nothing, "x"], ["evaluate", nothing, text], ["info", nothing], ["convert", nothing, "-o", PathOf("out")],
        })
        {
            ToolRun.Bad(1, "", arguments);
            ToolRun.Bad(1, "none.zip", [arguments[0], "none.zip", .. arguments[2..]]);
        }
    }
}
