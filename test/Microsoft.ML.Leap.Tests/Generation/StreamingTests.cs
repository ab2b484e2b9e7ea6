namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class StreamingTests
{
    private static readonly GenerationOptions Wild = new()
    {
        Temperature = 2,
        Seed = 5,
        MaximumNewTokens = 60,
        PositionPolicy = PositionPolicy.Restart,
    };

    private static LeapLanguageModelTransformer Model => TrainedModel.Transformer;

    [TestMethod]
    public async Task GenerateTokensAsync_SameSeed_GivesTheTokensOfComplete()
    {
        GenerationResult expected = Model.Complete("the", Wild);
        List<GeneratedToken> tokens = await Model.GenerateTokensAsync("the", Wild).ToListAsync();
        CollectionAssert.AreEqual(expected.Tokens.Select(token => token.Id).ToArray(), tokens.Select(token => token.Id).ToArray());
        Assert.AreEqual(expected.FinishReason, tokens[^1].FinishReason);
        Assert.AreEqual(expected.Text, string.Concat(await Model.GenerateTextAsync("the", Wild).ToListAsync()));
    }

    [TestMethod]
    public async Task GenerateTokensAsync_LeftHalfWay_LeavesNothingBehind()
    {
        await Model.GenerateTokensAsync("the", Wild).Take(2).ToListAsync();
        using var torch = new TorchState();
        for (int i = 0; i < 5; i++)
        {
            List<GeneratedToken> some = await Model.GenerateTokensAsync("the", Wild).Take(3).ToListAsync();
            Assert.IsGreaterThan(0, some.Count);
        }
    }

    [TestMethod]
    public async Task GenerateTokensAsync_ConsumersTensors_AreTheirs()
    {
        List<TorchSharp.torch.Tensor> made = [];
        await foreach (GeneratedToken _ in Model.GenerateTokensAsync("the", Wild with { MaximumNewTokens = 5 }))
        {
            Assert.IsTrue(TorchSharp.torch.is_grad_enabled());
            made.Add(TorchSharp.torch.ones(2));
        }

        foreach (TorchSharp.torch.Tensor tensor in made)
        {
            Assert.IsFalse(tensor.IsInvalid);
            tensor.Dispose();
        }
    }

    [TestMethod]
    public async Task GenerateTokensAsync_Cancelled_Throws()
    {
        using var source = new CancellationTokenSource();
        int count = 0;
        await Assert.ThrowsAsync<OperationCanceledException>(async () =>
        {
            GenerationOptions endless = Wild with { MaximumNewTokens = int.MaxValue, MinimumNewTokens = int.MaxValue };
            await foreach (GeneratedToken _ in Model.GenerateTokensAsync("the", endless).WithCancellation(source.Token))
            {
                if (++count == 3)
                    await source.CancelAsync();
            }
        });
        Assert.AreEqual(3, count);
    }

    [TestMethod]
    public async Task GenerateTokensAsync_OfState_GoesOnFromWhereItWasLeft()
    {
        string expected = Model.Generate("the", Wild with { Temperature = 0, MaximumNewTokens = 8 });
        using GenerationState state = Model.CreateGenerationState("the", PositionPolicy.Restart);
        GenerationOptions greedy = Wild with { Temperature = 0 };
        List<GeneratedToken> first = await Model.ContinueAsync(state, greedy).Take(3).ToListAsync();
        GenerationResult rest = Model.Continue(state, greedy with { MaximumNewTokens = 5 });
        Assert.AreEqual(expected, string.Concat(first.Select(token => token.Text)) + rest.Text);
    }

    [TestMethod]
    public void CompleteAll_ManyPrompts_GivesEachTheTextItGetsAlone()
    {
        GenerationRequest[] requests = [.. Enumerable.Range(0, 40).Select(i => new GenerationRequest(
            TinyModel.Texts[i % TinyModel.Texts.Length],
            Wild with { Seed = i, MaximumNewTokens = i % 9, Temperature = i % 3, TopK = i % 5 }))];

        IReadOnlyList<GenerationResult> together = Model.CompleteAll(requests);

        for (int i = 0; i < requests.Length; i++)
        {
            GenerationResult alone = Model.Complete(requests[i].Prompt, requests[i].Options);
            Assert.AreEqual(alone.Text, together[i].Text);
            Assert.AreEqual(alone.FinishReason, together[i].FinishReason);
            Assert.AreEqual(alone.PromptTokenCount, together[i].PromptTokenCount);
            CollectionAssert.AreEqual(
                alone.Tokens.Select(token => token.LogProbability).ToArray(), together[i].Tokens.Select(token => token.LogProbability).ToArray());
        }

        Assert.IsEmpty(Model.CompleteAll([]));
    }

    [TestMethod]
    public void ScoreAndGenerate_FromManyThreads_GiveEachItsOwn()
    {
        string[] expected = [.. Enumerable.Range(0, 16).Select(Text)];
        float score = TrainedModel.Score("a dog")[0].LogLikelihood;
        string[] got = new string[16];
        Parallel.For(0, 16, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            got[i] = Text(i);
            Assert.AreEqual(score, TrainedModel.Score("a dog")[0].LogLikelihood, 1e-5f);
        });
        CollectionAssert.AreEqual(expected, got);

        static string Text(int seed) => Model.Generate("the", Wild with { Seed = seed });
    }

    // The pattern of PredictionEnginePool: engines are not thread-safe, and so each is lent to one thread at a time.
    [TestMethod]
    public void PredictionEngines_OfAPool_ScoreAndGenerateFromManyThreads()
    {
        var pool = new System.Collections.Concurrent.ConcurrentBag<PredictionEngine<Row, ScoredRowView>>();
        var settings = new PredictionEngineOptions { OwnsTransformer = false };
        ScoredRowView[] expected = TrainedModel.Score(TinyModel.Texts);
        Parallel.For(0, 40, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            int row = i % TinyModel.Texts.Length;
            if (!pool.TryTake(out PredictionEngine<Row, ScoredRowView>? engine))
                engine = TrainedModel.Context.Model.CreatePredictionEngine<Row, ScoredRowView>(Model, settings);
            ScoredRowView scored = engine.Predict(new Row { Text = TinyModel.Texts[row] });
            pool.Add(engine);
            Assert.AreEqual(expected[row].LogLikelihood, scored.LogLikelihood, 1e-4f);
            Assert.AreEqual(expected[row].TokenCount, scored.TokenCount);
        });
        foreach (PredictionEngine<Row, ScoredRowView> engine in pool)
            engine.Dispose();
        Assert.AreNotEqual("", Model.Generate("the", Wild));
    }

    [TestMethod]
    public void Complete_AnyCall_LeavesTorchAsItWas()
    {
        Model.Complete("the quick brown", Wild);
        using var torch = new TorchState();
        Model.CompleteAll([new GenerationRequest("the quick brown", Wild), new GenerationRequest("", Wild)]);
        using GenerationState state = Model.CreateGenerationState("the quick");
        using GenerationState clone = state.Clone();
        Assert.ThrowsExactly<InvalidOperationException>(() => Model.Complete(TinyModel.Texts[2], new GenerationOptions()));
    }

    [TestMethod]
    public void Complete_BadRequests_AreRefused()
    {
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.CompleteAll((IReadOnlyList<GenerationRequest>)null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.CompleteAll([null!]));
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.Complete((string)null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.GenerateTokensAsync((string)null!));
        Assert.ThrowsExactly<ArgumentException>(() => Model.Complete("a", new GenerationOptions { StopTokens = [100_000] }));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Model.CreateGenerationState("a", (PositionPolicy)9));
    }
}
