using System.Text.Json;
using Microsoft.ML.Leap.Benchmarks;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class Wikitext2RunTests
{
    private static readonly string[] Keys =
    [
        "model", "recipe", "epochs", "trainBlocks", "validationBlocks", "validationLoss", "tokensPerSecond", "seconds", "parameters", "dropout", "seed",
        "precision", "device", "threads",
    ];

    [TestMethod]
    [DataRow(ModelChoice.Leap)]
    [DataRow(ModelChoice.Gpt2)]
    public void Run_StoppedAndGoneOn_EqualsUninterruptedRun(string model)
    {
        using var folder = new TemporaryFolder();
        Wikitext2Settings settings = Settings(folder, model);
        Wikitext2Report whole = Wikitext2Run.Run(settings);

        Wikitext2Settings parts = settings with { CheckpointFolder = Path.Combine(folder.Path, "checkpoints") };
        Wikitext2Report first = Wikitext2Run.Run(parts with { StopAfter = 1 });
        Wikitext2Report rest = Wikitext2Run.Run(parts);

        Assert.HasCount(3, whole.ValidationLoss);
        CollectionAssert.AreEqual(new[] { whole.ValidationLoss[0] }, first.ValidationLoss.ToArray());
        CollectionAssert.AreEqual(whole.ValidationLoss.ToArray(), rest.ValidationLoss.ToArray());
        Assert.AreEqual(whole.TestPerplexity, rest.TestPerplexity);
        Assert.IsLessThan(whole.ValidationLoss[0], whole.ValidationLoss[2]);
    }

    [TestMethod]
    public void Train_UnknownNetwork_IsRefused()
    {
        ArgumentException exception = Assert.ThrowsExactly<ArgumentException>(
            () => Wikitext2Comparison.Train("gpt3", "folder", TokenizerOptions.Bytes(), vocabulary => new LeapConfig(vocabulary), 1));
        StringAssert.Contains(exception.Message, "'gpt3' is no network; expected leap or gpt2.");
    }

    [TestMethod]
    public void Run_AlreadyOver_ReportsItsCheckpoint()
    {
        using var folder = new TemporaryFolder();
        Wikitext2Settings settings = Settings(folder, ModelChoice.Leap) with { CheckpointFolder = Path.Combine(folder.Path, "checkpoints") };
        Wikitext2Report first = Wikitext2Run.Run(settings);

        Wikitext2Report again = Wikitext2Run.Run(settings);

        CollectionAssert.AreEqual(first.ValidationLoss.ToArray(), again.ValidationLoss.ToArray());
        Assert.AreEqual(first.TestPerplexity, again.TestPerplexity);
        Assert.IsGreaterThan(0, again.TokensPerSecond);
    }

    [TestMethod]
    public void Run_CheckpointOfTheOtherNetwork_IsRefused()
    {
        using var folder = new TemporaryFolder();
        string checkpoints = Path.Combine(folder.Path, "checkpoints");
        Wikitext2Run.Run(Settings(folder, ModelChoice.Leap) with { CheckpointFolder = checkpoints, StopAfter = 1 });

        Assert.ThrowsExactly<FormatException>(() => Wikitext2Run.Run(Settings(folder, ModelChoice.Gpt2) with { CheckpointFolder = checkpoints }));
    }

    [TestMethod]
    public void Run_LeapCheckpoint_LoadsAsAModel()
    {
        using var folder = new TemporaryFolder();
        string checkpoints = Path.Combine(folder.Path, "checkpoints");
        Wikitext2Run.Run(Settings(folder, ModelChoice.Leap) with { CheckpointFolder = checkpoints });

        using LeapLanguageModelTransformer model = new MLContext().Leap().LoadPretrained(Directory.GetDirectories(checkpoints).Single());
        Assert.AreEqual(32, model.Config.ContextLength);
    }

    [TestMethod]
    public void Run_ValidationFileAsTest_GivesItsPerplexityAndLeavesTorchAsItWas()
    {
        using var folder = new TemporaryFolder();
        Wikitext2Settings settings = Settings(folder, ModelChoice.Leap) with { Epochs = 1 };
        Wikitext2Run.Run(settings);

        using var state = new TorchState(weights: 12);
        Wikitext2Report report = Wikitext2Run.Run(settings);

        Assert.AreEqual(report.ValidationBlocks, report.TestBlocks);
        Assert.AreEqual(Math.Exp(report.ValidationLoss[0]), report.TestPerplexity!.Value, 1e-6 * report.TestPerplexity.Value);
    }

    [TestMethod]
    public void Report_WithAndWithoutTest_HasItsKeys()
    {
        using var folder = new TemporaryFolder();
        Wikitext2Settings settings = Settings(folder, ModelChoice.Gpt2) with { Epochs = 1 };

        CollectionAssert.AreEqual(Keys, GetKeys(Wikitext2Run.Run(settings with { TestFile = null }), folder));
        CollectionAssert.AreEqual(
            Keys.Concat(["testBlocks", "testPerplexity"]).ToArray(), GetKeys(Wikitext2Run.Run(settings), folder));
    }

    [TestMethod]
    public void ChooseDropout_ManyEpochsOfTheDefaultRecipe_IsMore()
    {
        Assert.AreEqual(0.2, Wikitext2Run.ChooseDropout(NetworkRecipe.Default, 25));
        Assert.AreEqual(0.1, Wikitext2Run.ChooseDropout(NetworkRecipe.Default, 3));
        Assert.AreEqual(0.1, Wikitext2Run.ChooseDropout(NetworkRecipe.Original, 25));
    }

    [TestMethod]
    public void Command_FolderWithoutTheFiles_FailsInWords()
    {
        using var folder = new TemporaryFolder();
        string tokenizer = TestData.Find("t5", "spiece.model");
        TextWriter console = Console.Error;
        using var error = new StringWriter();
        Console.SetError(error);
        try
        {
            Assert.AreEqual(1, Wikitext2Command.Create().Parse(["--data", folder.Path, "--tokenizer", tokenizer, "--epochs", "1"]).Invoke());
        }
        finally
        {
            Console.SetError(console);
        }

        StringAssert.Contains(error.ToString(), "wiki.train.tokens");
        Assert.HasCount(1, error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static string[] GetKeys(Wikitext2Report report, TemporaryFolder folder)
    {
        string path = Path.Combine(folder.Path, "out.json");
        JsonReport.Write(path, report);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(path));
        return [.. json.RootElement.EnumerateObject().Select(property => property.Name)];
    }

    private static Wikitext2Settings Settings(TemporaryFolder folder, string model)
    {
        string text = string.Concat(Enumerable.Range(0, 60).Select(i => $" the cat {i % 7} sees the dog {i % 3} \n"));
        File.WriteAllText(Path.Combine(folder.Path, "wiki.train.tokens"), text);
        File.WriteAllText(Path.Combine(folder.Path, "wiki.valid.tokens"), text[^300..]);
        return new Wikitext2Settings
        {
            Folder = folder.Path,
            TestFile = Path.Combine(folder.Path, "wiki.valid.tokens"),
            Tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None),
            Model = model,
            Device = CPU,
            Precision = TrainingPrecision.Float32,
            Epochs = 3,
            Seed = 1,
            Config = vocabularySize => new LeapConfig(vocabularySize, 16, contextLength: 32, layerCount: 1, headCount: 2),
        };
    }
}
