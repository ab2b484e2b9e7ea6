namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>A worker that calls a run, and trains nothing.</summary>
internal sealed class FakeWorker(ITrainingRun run)
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan StragglerWait = TimeSpan.FromMinutes(2);

    private static int s_runs;

    public Guid Id { get; } = Guid.NewGuid();

    public ITrainingRun Run { get; } = run;

    public Task<JoinReply> JoinAsync() => Run.Join(new JoinRequest(Id, null, Options().GetTerms()));

    public Task<RunStatus> ReportAsync() => Run.Report(new WorkerReport(Id));

    public Task<Receipt> SendAsync(int round, float[] difference) =>
        SendBlobAsync(BlobKind.Difference, round, WeightDifference.Encode(difference, DifferenceFormat.BFloat16, out _));

    public async Task<Receipt> SendPlanAsync(float[] weights, int rounds, bool withPlan = true)
    {
        TrainingRecipe recipe = TrainingRecipe.Choose(TinyModel.Options(), 7, 200, hasValidationData: false);
        LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
        if (withPlan)
            await SendBlobAsync(BlobKind.Plan, 0, SharedPlan.Create(new TrainingPlan(1, recipe, tokenizer, rounds, EvaluationCount: 1)).ToBytes());
        return await SendBlobAsync(BlobKind.Weights, 0, TrainingRunState.ToBytes(weights));
    }

    public async Task<float[]> FetchWeightsAsync(int round)
    {
        var collector = new ChunkCollector();
        for (int index = 0; !collector.IsComplete; index++)
            Assert.IsTrue(collector.TryAdd((await Run.Get(BlobKind.Weights, round, index))!));
        return TrainingRunState.ToFloats(collector.ToArray());
    }

    // The last chunk's receipt.
    private async Task<Receipt> SendBlobAsync(BlobKind kind, int round, byte[] blob)
    {
        Receipt receipt = Receipt.NotWanted;
        for (int index = 0; index < Chunk.CountOf(blob.Length); index++)
            receipt = await Run.Send(Id, Chunk.Cut(kind, round, blob, index));
        return receipt;
    }

    /// <summary>Begins the first round of a run of two workers.</summary>
    public static async Task<(FakeWorker First, FakeWorker Second)> BeginAsync(LocalCluster cluster, float[] weights, int rounds)
    {
        ITrainingRun run = NewRun(cluster);
        var first = new FakeWorker(run);
        var second = new FakeWorker(run);
        Assert.AreEqual(0, (await first.JoinAsync()).Rank);
        Assert.AreEqual(1, (await second.JoinAsync()).Rank);
        Assert.IsTrue((await first.ReportAsync()).MustPlan);
        Assert.AreEqual(Receipt.Taken, await first.SendPlanAsync(weights, rounds));
        foreach (FakeWorker worker in (FakeWorker[])[first, second])
        {
            RunStatus status = await worker.ReportAsync();
            Assert.AreEqual(RunPhase.Training, status.Phase);
            Assert.IsTrue(status.IsMember);
        }

        return (first, second);
    }

    public static ITrainingRun NewRun(LocalCluster cluster) => cluster.Run($"run {Interlocked.Increment(ref s_runs)}");

    public static ClusterTrainingOptions Options() => new()
    {
        RunName = "run",
        Trainer = TinyModel.Options(),
        StepsPerRound = 1,
        OuterLearningRate = 0.7,
        OuterMomentum = 0.9,
        Format = DifferenceFormat.BFloat16,
        WorkerTimeout = Timeout,
        StragglerWait = StragglerWait,
    };

    public static float[] Expected(float[] initial, params float[][] differences) =>
        new OuterOptimizer(0.7, 0.9, DifferenceFormat.BFloat16).Step(OuterWeights.Create(initial), [.. differences.Select(AsSent)]).After.Weights;

    private static float[] AsSent(float[] difference) =>
        WeightDifference.Decode(WeightDifference.Encode(difference, DifferenceFormat.BFloat16, out _), difference.Length);

    public static float[] Values(int seed, int count = 500)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
    }
}
