namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/Chat, from a pipe.</summary>
[TestClass]
public class ChatTests
{
    private static readonly string[] Settings = ["--seed", "3", "--tokens", "12"];

    [TestMethod]
    public void Chat_OwnTexts_TrainsSavesAndContinuesWhatIsTyped()
    {
        using var folder = new TemporaryFolder();
        string texts = Path.Combine(folder.Path, "texts.txt");
        string zip = Path.Combine(folder.Path, "model.zip");
        File.WriteAllLines(texts, TinyModel.Texts);

        string[] trained = Answers("the cat\na dog\n", ["--texts", texts, "--save", zip, .. Settings]);
        string[] loaded = Answers("the cat\na dog\n\nnot read any more\n", [zip, .. Settings]);

        CollectionAssert.AreEqual(trained, loaded);
        using var model = (LeapLanguageModelTransformer)TrainedModel.Context.Model.Load(zip, out _);
        CollectionAssert.AreEqual(new[] { Expected(model, "the cat"), Expected(model, "a dog") }, loaded);
    }

    [TestMethod]
    public void Chat_PipelineAndFolder_AreModelsToo()
    {
        using var folder = new TemporaryFolder();
        IDataView data = TinyModel.View(TrainedModel.Context, TinyModel.Texts);
        var pipeline = TrainedModel.Context.Transforms.CopyColumns("Copy", "Text").Fit(data).Append(TrainedModel.Transformer);
        string zip = Path.Combine(folder.Path, "model.zip");
        string pretrained = Path.Combine(folder.Path, "model");
        TrainedModel.Context.Model.Save(pipeline, data.Schema, zip);
        TrainedModel.Transformer.SavePretrained(pretrained);

        string[] expected = [Expected(TrainedModel.Transformer, "the cat")];
        CollectionAssert.AreEqual(expected, Answers("the cat\n", [zip, .. Settings]));
        CollectionAssert.AreEqual(expected, Answers("the cat\n", [pretrained, .. Settings]));
    }

    [TestMethod]
    public void Chat_FilesThatAreNone_AreNamedWithoutATrace()
    {
        using var folder = new TemporaryFolder();
        string text = Path.Combine(folder.Path, "text.txt");
        File.WriteAllText(text, "no model");

        foreach (string[] arguments in new string[][] { ["nowhere.zip"], [text], ["--texts", "nowhere.txt"] })
        {
            (int exitCode, _, string errors) = ProgramProcess.RunAny("Chat", "", arguments);
            Assert.AreNotEqual(0, exitCode);
            Assert.AreNotEqual("", errors);
            Assert.DoesNotContain("   at ", errors);
        }
    }

    private static string Expected(LeapLanguageModelTransformer model, string prompt)
    {
        var options = new GenerationOptions
        {
            Temperature = 0.8f,
            TopK = 40,
            Seed = 3,
            MaximumNewTokens = 12,
            PositionPolicy = PositionPolicy.Restart,
        };
        return prompt + model.Generate(prompt, options);
    }

    // After each sign to type, the prompt and its continuation; the last sign is for the line that ends the program.
    private static string[] Answers(string input, string[] arguments) =>
        [.. ProgramProcess.Run("Chat", input, arguments).Split("\n> ").Skip(1).SkipLast(1)];
}
