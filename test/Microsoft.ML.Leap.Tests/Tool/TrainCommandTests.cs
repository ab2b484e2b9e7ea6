using System.Text.Json;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Tests;

namespace Leap.Tool.Tests;

[TestClass]
public sealed class TrainCommandTests : ToolTest
{
    private static readonly string[] Tiny =
        [
        "--tokenizer", "bytes", "--hidden", "16", "--heads", "2", "--layers", "2", "--context", "16", "--batch", "4", "--memory", "0", "--device", "cpu", "--precision", "float32",
    ];

    private static readonly string[] TwoEpochs = [.. Tiny, "--epochs", "2"];

    [TestMethod]
    public void Train_Files_ModelIsThatOfTheTrainer()
    {
        string lines = Write("a.txt", string.Join('\n', TinyModel.Texts)), csv = Write("b.csv", "body,n\nmore text,1\nand more,2\n"), output = PathOf("new.zip");
        string more = Write("c.jsonl", "{\"body\":\"a\"}\n");

        ToolRun run = ToolRun.Good(["train", lines, csv, more, "--column", "body", "-o", output, "--rate", "0.005", "--seed", "7", "--held-out", "0", .. TwoEpochs]);

        StringAssert.Contains(run.Output, "new.zip: ");
        StringAssert.Contains(run.Errors, "Training on ");
        var options = new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.Bytes(),
            HiddenSize = 16,
            HeadCount = 2,
            LayerCount = 2,
            ContextLength = 16,
            BatchSize = 4,
            Epochs = 2,
            MemoryMegabytes = 0,
            LearningRate = 0.005,
            Seed = 7,
            ValidationFraction = 0,
            Device = "cpu",
            Precision = TrainingPrecision.Float32,
        };
        using LeapLanguageModelTransformer expected = TrainedModel.Context.Leap().LanguageModel(options)
            .Fit(TinyModel.View(TrainedModel.Context, [.. TinyModel.Texts, "more text", "and more", "a"]));
        using LeapLanguageModel model = LeapLanguageModel.Load(output);
        Assert.AreEqual(expected.Model.Score("the cat").LogLikelihood, model.Score("the cat").LogLikelihood);
    }

    [TestMethod]
    public void Train_Json_TellsTheResultAndInfoTheLicence()
    {
        string path = Write("a.txt", string.Join('\n', TinyModel.Texts)), held = Write("b.txt", "the dog sat\n"), output = PathOf("new.zip");

        JsonElement result = JsonElement.Parse(ToolRun.Good(["train", path, "-o", output, "--validation", held, "--license", "CC0", "--json", .. TwoEpochs]).Output);

        Assert.AreEqual(new FileInfo(output).Length, result.GetProperty("bytes").GetInt64());
        Assert.IsGreaterThan(0, result.GetProperty("validationLoss").GetDouble());
        JsonElement info = JsonElement.Parse(ToolRun.Good("info", output, "--json").Output);
        Assert.AreEqual("CC0", info.GetProperty("license").GetString());
        Assert.AreEqual(path, info.GetProperty("sources")[0].GetString());
        Assert.AreEqual(16, info.GetProperty("hiddenSize").GetInt32());
        Assert.AreEqual(2, info.GetProperty("history").GetArrayLength());
        StringAssert.Contains(ToolRun.Good("info", output).Output, "CC0");
    }

    [TestMethod]
    public void Train_Checkpoint_SecondRunGoesOn()
    {
        string path = Write("a.txt", string.Join('\n', TinyModel.Texts)), folder = PathOf("run");
        string[] command = ["train", path, "--checkpoint", folder, .. TwoEpochs];

        ToolRun.Good([.. command, "-o", PathOf("one.zip")]);
        ToolRun again = ToolRun.Good([.. command, "-o", PathOf("two.zip")]);

        Assert.IsFalse(again.Errors.Contains("step 1/", StringComparison.Ordinal), again.Errors);
        CollectionAssert.AreEqual(
            File.ReadAllBytes(Path.Combine(Convert("one.zip"), "model.safetensors")), File.ReadAllBytes(Path.Combine(Convert("two.zip"), "model.safetensors")));

        string Convert(string zip)
        {
            string target = PathOf(Path.GetFileNameWithoutExtension(zip));
            ToolRun.Good("convert", PathOf(zip), "-o", target);
            return target;
        }
    }

    [TestMethod]
    public void Train_Initial_GoesOnWithItsNetwork()
    {
        string path = Write("a.txt", "zebra zebra zebra\nzebra zebra\n"), output = PathOf("new.zip");

        ToolRun.Good("train", path, "--initial", Model, "-o", output, "--epochs", "20", "--rate", "0.01", "--device", "cpu", "--memory", "0", "--held-out", "0");

        using LeapLanguageModel before = LeapLanguageModel.Load(Model), after = LeapLanguageModel.Load(output);
        Assert.AreEqual(before.Config.HiddenSize, after.Config.HiddenSize);
        Assert.IsLessThan(before.Score("zebra zebra").Perplexity / 2, after.Score("zebra zebra").Perplexity);
    }

    [TestMethod]
    public async Task Train_CtrlC_KeepsTheModel()
    {
        string path = Write("a.txt", string.Join('\n', TinyModel.Texts)), output = PathOf("new.zip");
        using var ending = new CancellationTokenSource();

        Task<ToolRun> training = ToolRun.RunAsync(ending.Token, ["train", path, "-o", output, "--checkpoint", PathOf("run"), .. Tiny, "--steps", "1000000"]);
        for (int i = 0; i < 600 && !HasCheckpoint(PathOf("run")) && !training.IsCompleted; i++)
            await Task.Delay(50, CancellationToken.None);
        await ending.CancelAsync();
        ToolRun run = await training;

        Assert.AreEqual(0, run.ExitCode, run.Errors);
        using LeapLanguageModel model = LeapLanguageModel.Load(output);
        Assert.IsTrue(double.IsFinite(model.Score("the cat").Perplexity));
    }

    private static bool HasCheckpoint(string folder) => Directory.Exists(folder) && Directory.EnumerateDirectories(folder, "step-*").Any();

    [TestMethod]
    public void Train_WrongUsage_Exits2()
    {
        string path = Write("a.txt", "one\ntwo\n"), output = PathOf("new.zip");

        ToolRun.Bad(2, "'--output' is required", "train", path);
        ToolRun.Bad(2, "--time must be a number with s, m or h", "train", path, "-o", output, "--time", "soon");
        ToolRun.Bad(2, "--tokenizer must be", "train", path, "-o", output, "--tokenizer", "none");
        ToolRun.Bad(2, "--precision must be one of auto", "train", path, "-o", output, "--precision", "half");
        ToolRun.Bad(2, "multiple of headCount", "train", path, "-o", output, "--heads", "7");
        ToolRun.Bad(2, "is a folder", "train", path, "-o", Folder);
        ToolRun.Bad(2, "There is no folder", "train", path, "-o", Path.Combine(Folder, "no", "new.zip"));
        ToolRun.Bad(1, "There is no model", "train", path, "-o", output, "--initial", "none.zip");
        Assert.IsFalse(File.Exists(output));
    }

    [TestMethod]
    public void Train_OutputIsAnInput_IsRefused()
    {
        string path = Write("a.txt", "one\ntwo\n"), held = Write("b.txt", "three\n");

        ToolRun.Bad(2, "one of the files to read", "train", path, "-o", Path.Combine(Folder, ".", "a.txt"));
        ToolRun.Bad(2, "one of the files to read", "train", path, "--validation", held, "-o", held);
        ToolRun.Bad(2, "the model itself", "train", path, "--initial", Model, "-o", Model);
        Assert.AreEqual("one\ntwo\n", File.ReadAllText(path));
        Assert.AreEqual("three\n", File.ReadAllText(held));
    }

    [TestMethod]
    public void Describe_DaysLeft_AreHours()
    {
        var progress = new TrainingProgress
        {
            Epoch = 1,
            EpochCount = 2,
            Step = 1,
            StepCount = 9,
            Loss = 1.5,
            LearningRate = 0.1,
            GradientNorm = 1,
            TokensPerSecond = 1234,
            Elapsed = TimeSpan.FromSeconds(1),
            Remaining = new TimeSpan(2, 2, 3, 4),
        };

        Assert.AreEqual("epoch 1/2, loss 1.500, validation 2.000, 1,234 tokens/s, 50:03:04 left", TrainingView.Describe(progress, 2));
    }

    [TestMethod]
    public void Train_NoText_SaysSo() =>
        ToolRun.Bad(1, "no text", "train", Write("a.txt", "\n\n"), "-o", PathOf("new.zip"), "--device", "cpu");
}
