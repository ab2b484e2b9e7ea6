namespace Microsoft.ML.Leap.Tests;

/// <summary>Streams of one model step together, and know nothing of each other.</summary>
[TestClass]
public class StepQueueTests
{
    private static readonly GenerationOptions Wild = new()
    {
        Temperature = 2,
        MaximumNewTokens = 60,
        LogProbabilityCount = 2,
        PositionPolicy = PositionPolicy.Restart,
    };

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    // The first step waits until all others are in line.
    [TestMethod]
    public async Task StepAsync_WhileAStepRuns_TheOthersGatherForTheNextUpToTheLimit()
    {
        List<int> sizes = [];
        using var gate = new ManualResetEventSlim();
        GeneratedToken token = (await Model.GenerateTokensAsync("a", Wild).FirstAsync())!;
        var queue = new StepQueue(
            batch =>
            {
                gate.Wait();
                sizes.Add(batch.Count);
                return [.. batch.Select(_ => new ContinuationStep(token))];
            },
            limit: 4);

        Task<GeneratedToken> first = queue.StepAsync(null!, CancellationToken.None);
        await Task.Delay(50);
        Task<GeneratedToken>[] others = [.. Enumerable.Range(0, 6).Select(_ => queue.StepAsync(null!, CancellationToken.None))];
        gate.Set();
        foreach (Task<GeneratedToken> step in (Task<GeneratedToken>[])[first, .. others])
            Assert.AreSame(token, await step);
        CollectionAssert.AreEqual(new[] { 1, 4, 2 }, sizes);
    }

    [TestMethod]
    public async Task StepAsync_Cancelled_LeavesTheOthersAlone()
    {
        using var gate = new ManualResetEventSlim();
        using var source = new CancellationTokenSource();
        GeneratedToken token = (await Model.GenerateTokensAsync("a", Wild).FirstAsync())!;
        int stepped = 0;
        var queue = new StepQueue(
            batch =>
            {
                gate.Wait();
                stepped += batch.Count;
                return [.. batch.Select(_ => new ContinuationStep(token))];
            },
            limit: 4);

        Task<GeneratedToken> first = queue.StepAsync(null!, CancellationToken.None);
        await Task.Delay(50);
        Task<GeneratedToken> cancelled = queue.StepAsync(null!, source.Token);
        Task<GeneratedToken> last = queue.StepAsync(null!, CancellationToken.None);
        await source.CancelAsync();
        gate.Set();
        await first;
        await last;
        await Assert.ThrowsAsync<TaskCanceledException>(() => cancelled);
        Assert.AreEqual(2, stepped);
        await Assert.ThrowsAsync<TaskCanceledException>(() => queue.StepAsync(null!, source.Token));
    }

    [TestMethod]
    public async Task StepAsync_FaultOfAll_ReachesEachAndTheQueueGoesOn()
    {
        bool isBroken = true;
        GeneratedToken token = (await Model.GenerateTokensAsync("a", Wild).FirstAsync())!;
        var queue = new StepQueue(
            batch => isBroken ? throw new IOException("broken") : [.. batch.Select(_ => new ContinuationStep(token))], limit: 4);
        Task<GeneratedToken>[] steps = [.. Enumerable.Range(0, 6).Select(_ => queue.StepAsync(null!, CancellationToken.None))];
        foreach (Task<GeneratedToken> step in steps)
            Assert.AreEqual("broken", (await Assert.ThrowsAsync<IOException>(() => step)).Message);
        isBroken = false;
        Assert.AreSame(token, await queue.StepAsync(null!, CancellationToken.None));
    }

    [TestMethod]
    public async Task GenerateTokensAsync_ManyAtOnce_GivesEachWhatItGetsAlone()
    {
        GenerationResult[] alone = [.. Enumerable.Range(0, 48).Select(i => Model.Complete(Prompt(i), Options(i)))];
        List<GeneratedToken>[] together = await Task.WhenAll(
            Enumerable.Range(0, 48).Select(i => Task.Run(async () => await Model.GenerateTokensAsync(Prompt(i), Options(i)).ToListAsync())));
        for (int i = 0; i < together.Length; i++)
        {
            CollectionAssert.AreEqual(alone[i].Tokens.Select(Describe).ToArray(), together[i].Select(Describe).ToArray());
            Assert.AreEqual(alone[i].FinishReason, together[i][^1].FinishReason);
        }

        // Numbers to the last bit.
        static string Describe(GeneratedToken token) =>
            $"{token.Id} {token.Text} {token.LogProbability:R} {string.Join(' ', token.Alternatives.Select(other => $"{other.Id} {other.LogProbability:R}"))}";
    }

    // One reaches past its context and may not, one is given up, one leaves.
    [TestMethod]
    public async Task GenerateTokensAsync_OneThatFails_DoesNotDisturbTheOthers()
    {
        using var source = new CancellationTokenSource();
        GenerationOptions endless = Wild with { MaximumNewTokens = int.MaxValue, MinimumNewTokens = int.MaxValue };
        GenerationOptions strict = endless with { PositionPolicy = PositionPolicy.Throw };
        for (int round = 0; round < 5; round++)
        {
            Task<List<GeneratedToken>>[] good = [.. Enumerable.Range(0, 8).Select(i =>
                Task.Run(async () => await Model.GenerateTokensAsync(Prompt(i), Options(i)).ToListAsync()))];
            Task<List<GeneratedToken>>[] bad = [.. Enumerable.Range(0, 4).Select(_ =>
                Task.Run(async () => await Model.GenerateTokensAsync("the", strict).ToListAsync()))];
            using var given = new CancellationTokenSource();
            Task cancelled = Task.Run(async () => await Model.GenerateTokensAsync("the", endless, given.Token).ToListAsync());
            await Model.GenerateTokensAsync("the", endless).Take(3).ToListAsync();
            await given.CancelAsync();

            foreach (Task<List<GeneratedToken>> task in bad)
                StringAssert.Contains((await Assert.ThrowsAsync<InvalidOperationException>(() => task)).Message, "past the model's context");
            await Assert.ThrowsAsync<OperationCanceledException>(() => cancelled);
            for (int i = 0; i < good.Length; i++)
                Assert.AreEqual(Model.Complete(Prompt(i), Options(i)).Text, string.Concat((await good[i]).Select(token => token.Text)));
        }
    }

    [TestMethod]
    public async Task GenerateTokensAsync_ModelDisposedMeanwhile_EndsWithAnException()
    {
        LeapLanguageModel model = LeapLanguageModel.Load(new MemoryStream(SavedModel.Zip(TrainedModel.Context, TrainedModel.Transformer)));
        GenerationOptions endless = Wild with { MaximumNewTokens = int.MaxValue, MinimumNewTokens = int.MaxValue };
        Task[] streams = [.. Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
            await model.GenerateTokensAsync("the", endless with { Seed = i }).ToListAsync()))];
        await Task.Delay(50);
        model.Dispose();
        foreach (Task stream in streams)
            await Assert.ThrowsAsync<ObjectDisposedException>(() => stream.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [TestMethod]
    public async Task ContinueAsync_StateOfAnotherModel_IsRefused()
    {
        using LeapLanguageModel other = LeapLanguageModel.Load(new MemoryStream(SavedModel.Zip(TrainedModel.Context, TrainedModel.Transformer)));
        using GenerationState state = other.CreateGenerationState("the");
        StringAssert.Contains(
            (await Assert.ThrowsAsync<ArgumentException>(async () => await Model.ContinueAsync(state).ToListAsync())).Message, "made by another model");
    }

    private static string Prompt(int i) => TinyModel.Texts[i % TinyModel.Texts.Length];

    private static GenerationOptions Options(int i) => Wild with { Seed = i, MaximumNewTokens = 20 + i, TopK = i % 5 };
}
