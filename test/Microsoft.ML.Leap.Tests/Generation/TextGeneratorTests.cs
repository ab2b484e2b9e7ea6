using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TextGeneratorTests
{
    [TestMethod]
    public void Generate_Greedy_TakesTheLikeliestTokenEachTime()
    {
        string text = TrainedModel.Transformer.Generate("the c", new GenerationOptions { Temperature = 0, MaximumNewTokens = 8 });

        List<int> ids = [TrainedModel.Transformer.Tokenizer.EndOfTextId, .. TrainedModel.Transformer.Tokenizer.Encode("the c")];
        int prompt = ids.Count;
        while (ids.Count < prompt + 8)
        {
            double[] next = TrainedModel.NaiveLogProbabilities([.. ids])[^1];
            int best = Array.IndexOf(next, next.Max());
            if (best == TrainedModel.Transformer.Tokenizer.EndOfTextId)
                break;
            ids.Add(best);
        }

        Assert.AreEqual(TrainedModel.Transformer.Tokenizer.Decode(ids.Skip(prompt)), text);
        Assert.AreNotEqual("", text);
    }

    // Buffers grow with the tokens that there are, not with those that there might be.
    [TestMethod]
    public void Generate_HugePenaltyWindow_TakesLittleMemory()
    {
        var options = new GenerationOptions { RepetitionPenalty = 1.2, PenaltyWindow = int.MaxValue, MaximumNewTokens = 4, Seed = 1 };
        LeapLanguageModelTransformer model = TrainedModel.Transformer;
        long before = GC.GetAllocatedBytesForCurrentThread();
        string text = model.Generate("the c", options);
        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.AreEqual(model.Generate("the c", options with { PenaltyWindow = 100 }), text);
    }

    [TestMethod]
    public void Generate_ConfigOfAContextBeyondReason_TakesLittleMemory()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(new MLContext(1), options => options.UsePositionEmbeddings = false);
        using var folder = new TemporaryFolder();
        model.Model.Save(folder.Path);
        File.Delete(Path.Combine(folder.Path, "leap.manifest"));
        string config = Path.Combine(folder.Path, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"n_positions\": 16", "\"n_positions\": 2147483647", StringComparison.Ordinal));

        using LeapLanguageModel loaded = LeapLanguageModel.Load(folder.Path);
        Assert.AreEqual(int.MaxValue, loaded.Config.ContextLength);
        long before = GC.GetAllocatedBytesForCurrentThread();
        using GenerationState state = loaded.CreateGenerationState("the c");
        Assert.HasCount(4, loaded.Continue(state, new GenerationOptions { MaximumNewTokens = 4, MinimumNewTokens = 4, Seed = 1 }).Tokens);
        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.IsLessThan(1 << 20, state.SizeInBytes);
        Assert.IsLessThan(0, loaded.Score("the cat").LogLikelihood);
    }

    [TestMethod]
    public void Generate_PastTheContext_GoesOnFromItsLastHalf()
    {
        string prompt = TinyModel.Texts[2];
        var options = new GenerationOptions { Temperature = 0, MaximumNewTokens = 1, PositionPolicy = PositionPolicy.Restart };
        // Each token that finds the context full is read as the last of half a context.
        List<int> context = [TrainedModel.Transformer.Tokenizer.EndOfTextId];
        foreach (int id in TrainedModel.Transformer.Tokenizer.Encode(prompt))
            context = [.. context.Count == 16 ? context[^7..] : context, id];
        double[] next = TrainedModel.NaiveLogProbabilities([.. context])[^1];

        string text = TrainedModel.Transformer.Generate(prompt, options);

        int best = Array.IndexOf(next, next.Max());
        Assert.AreEqual(best == TrainedModel.Transformer.Tokenizer.EndOfTextId ? "" : TrainedModel.Transformer.Tokenizer.Decode([best]), text);
        Assert.IsGreaterThan(20, TrainedModel.Transformer.Generate(prompt, options with { MaximumNewTokens = 60, Seed = 5, Temperature = 2 }).Length);
    }

    [TestMethod]
    public void Generate_Seeds_DecideTheText()
    {
        var options = new GenerationOptions { Seed = 1, MaximumNewTokens = 30, Temperature = 1.5, PositionPolicy = PositionPolicy.Restart };
        string first = TrainedModel.Transformer.Generate("the", options);
        Assert.AreEqual(first, TrainedModel.Transformer.Generate("the", options));
        Assert.AreNotEqual(first, TrainedModel.Transformer.Generate("the", options with { Seed = 2 }));
        Assert.AreEqual("", TrainedModel.Transformer.Generate("the", options with { MaximumNewTokens = 0 }));
    }

    [TestMethod]
    public void Generate_Cancelled_Throws()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => TrainedModel.Transformer.Generate("a", cancellationToken: source.Token));
        Assert.ThrowsExactly<ArgumentNullException>(() => TrainedModel.Transformer.Generate(null!));
    }

    [TestMethod]
    public void GeneratedText_Column_RepeatsInAnyRowAndCursor()
    {
        IDataView scored = TrainedModel.Transformer.Transform(TinyModel.View(TrainedModel.Context, "the", "a dog", "the"));
        string[] first = [.. scored.GetColumn<string>("GeneratedText")];
        CollectionAssert.AreEqual(first, scored.GetColumn<string>("GeneratedText").ToArray());
        Assert.AreEqual(first[0], first[2]);
        Assert.AreNotEqual(first[0], first[1]);
    }
}
