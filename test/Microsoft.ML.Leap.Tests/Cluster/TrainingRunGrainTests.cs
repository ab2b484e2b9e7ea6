namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>A run as its workers see it, by calls without a network that trains.</summary>
[TestClass]
public sealed class TrainingRunGrainTests
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StragglerWait = TimeSpan.FromMinutes(2);

    private static LocalCluster s_cluster = null!;
    private static int s_runs;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_cluster = await LocalCluster.StartAsync();

    [ClassCleanup]
    public static async Task StopAsync() => await s_cluster.DisposeAsync();

    [TestMethod]
    public async Task Report_TwoWorkersSend_EndsTheRunWithTheOuterStep()
    {
        float[] initial = Values(0), one = Values(1), two = Values(2);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 1);

        Assert.AreEqual(Receipt.Taken, await first.SendAsync(0, one));
        RunStatus between = await second.ReportAsync();
        Assert.IsFalse(between.HasDifference);
        Assert.AreEqual(0, between.Round);
        Assert.IsTrue((await first.ReportAsync()).HasDifference);
        Assert.AreEqual(Receipt.Taken, await second.SendAsync(0, two));

        RunStatus status = await first.ReportAsync();
        Assert.AreEqual(RunPhase.Over, status.Phase);
        Assert.AreEqual(1, status.Round);
        CollectionAssert.AreEqual(Expected(initial, one, two), await first.FetchWeightsAsync(1));

        // Another worker may have sent first: the order of ranks decides how sums round.
        Assert.IsNull(await first.Run.Get(BlobKind.Weights, 0, 0));
    }

    [TestMethod]
    public async Task Send_DamagedChunk_IsAskedForAgain()
    {
        // Two chunks and a bit.
        float[] initial = Values(0, 1_300_000), one = Values(1, 1_300_000), two = Values(2, 1_300_000);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 1);
        byte[] blob = WeightDifference.Encode(one, DifferenceFormat.BFloat16, out _);
        Assert.AreEqual(3, Chunk.CountOf(blob.Length));
        for (int index = 0; index < 3; index++)
        {
            var chunk = Chunk.Cut(BlobKind.Difference, 0, blob, index);
            byte[] turned = [.. chunk.Bytes];
            turned[^1] ^= 4;
            Assert.AreEqual(Receipt.Damaged, await first.Run.Send(first.Id, chunk with { Bytes = turned }));
            Assert.AreEqual(Receipt.Damaged, await first.Run.Send(first.Id, chunk with { Bytes = turned[..^1] }));
            Assert.AreEqual(Receipt.Taken, await first.Run.Send(first.Id, chunk));
        }

        await second.SendAsync(0, two);

        CollectionAssert.AreEqual(Expected(initial, one, two), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Send_WholeChunksOfADamagedDifference_AreAskedForAgain()
    {
        float[] initial = Values(0), one = Values(1), two = Values(2);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 1);

        Receipt receipt = await first.Run.Send(first.Id, Chunk.Cut(BlobKind.Difference, 0, new byte[100], 0));
        Assert.AreEqual(Receipt.Damaged, receipt);
        Assert.IsFalse((await first.ReportAsync()).HasDifference);
        await first.SendAsync(0, one);
        await second.SendAsync(0, two);

        CollectionAssert.AreEqual(Expected(initial, one, two), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Send_Twice_CountsOnce()
    {
        float[] initial = Values(0), one = Values(1), two = Values(2);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 2);

        for (int i = 0; i < 3; i++)
            Assert.AreEqual(Receipt.Taken, await first.SendAsync(0, one));
        await second.SendAsync(0, two);

        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(Expected(initial, one, two), await first.FetchWeightsAsync(1));

        // And those of the round before belong nowhere.
        Assert.AreEqual(Receipt.NotWanted, await first.SendAsync(0, one));
        Assert.IsFalse((await first.ReportAsync()).HasDifference);
    }

    [TestMethod]
    public async Task Send_AfterTheStragglerWait_IsNotWantedAndCounted()
    {
        float[] initial = Values(0), one = Values(1);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 2);
        await first.SendAsync(0, one);

        // The second worker lives all the time.
        for (TimeSpan waited = TimeSpan.Zero; waited < StragglerWait; waited += Timeout / 2)
        {
            Assert.AreEqual(0, (await first.ReportAsync()).Round);
            await second.ReportAsync();
            s_cluster.Clock.Advance(Timeout / 2);
        }

        Assert.AreEqual(1, (await second.ReportAsync()).Round);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(0, Values(2)));
        Assert.AreEqual(1, (await first.Run.GetProgress()).LateDifferences);
        CollectionAssert.AreEqual(Expected(initial, one), await first.FetchWeightsAsync(1));
        Assert.Contains(line => line.Contains("round 1 ended without the difference of rank 1", StringComparison.Ordinal), s_cluster.Log.Lines);
        Assert.Contains(line => line.Contains("the difference of rank 1 for round 0 came in round 1", StringComparison.Ordinal), s_cluster.Log.Lines);

        // It is a member of the next round like the other.
        Assert.IsTrue((await second.ReportAsync()).IsMember);
        await second.SendAsync(1, Values(2));
        await first.SendAsync(1, Values(3));
        Assert.AreEqual(RunPhase.Over, (await first.ReportAsync()).Phase);
    }

    [TestMethod]
    public async Task Report_SilentWorker_IsLeftOutAndJoinsTheNextRound()
    {
        float[] initial = Values(0), one = Values(1);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 3);
        await first.SendAsync(0, one);

        s_cluster.Clock.Advance(Timeout / 2);
        Assert.AreEqual(0, (await first.ReportAsync()).Round);
        s_cluster.Clock.Advance(Timeout * 0.6);
        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(Expected(initial, one), await first.FetchWeightsAsync(1));

        Assert.IsFalse((await second.ReportAsync()).IsKnown);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(1, Values(2)));
        await second.JoinAsync();
        await first.ReportAsync();
        Assert.AreEqual(1, (await second.JoinAsync()).Rank);
        RunStatus late = await second.ReportAsync();
        Assert.IsTrue(late.IsKnown);
        Assert.IsFalse(late.IsMember);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(1, Values(2)));

        await first.SendAsync(1, Values(3));
        RunStatus next = await second.ReportAsync();
        Assert.AreEqual(2, next.Round);
        Assert.IsTrue(next.IsMember);
        Assert.AreEqual(0, (await first.Run.GetProgress()).LateDifferences);
    }

    [TestMethod]
    public async Task Leave_OneOfTwo_EndsTheRoundWithoutIt()
    {
        float[] initial = Values(0), one = Values(1);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 2);
        await first.SendAsync(0, one);

        await second.Run.Leave(new WorkerReport(second.Id));

        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(Expected(initial, one), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task GetProgress_ValidationLosses_AreMeanOfWorkersAndThenTheLast()
    {
        (Worker first, Worker second) = await BeginAsync(Values(0), rounds: 1);
        await first.Run.Report(new WorkerReport(first.Id, ValidationLoss: 3));
        Assert.AreEqual(3, (await first.Run.GetProgress()).ValidationLoss);
        await second.Run.Report(new WorkerReport(second.Id, ValidationLoss: 2));
        Assert.AreEqual(2.5, (await first.Run.GetProgress()).ValidationLoss);
        await first.SendAsync(0, Values(1));
        await second.SendAsync(0, Values(2));

        await first.Run.Leave(new WorkerReport(first.Id, ValidationLoss: 1.5));
        await second.Run.Leave(new WorkerReport(second.Id, ValidationLoss: 1.25));

        Assert.AreEqual(1.25, (await first.Run.GetProgress()).ValidationLoss);
    }

    [TestMethod]
    public async Task Report_AllMembersGone_BeginsTheRoundAnewWithOthers()
    {
        float[] initial = Values(0), two = Values(2);
        (Worker first, Worker second) = await BeginAsync(initial, rounds: 1);
        await first.Run.Leave(new WorkerReport(first.Id));
        await second.Run.Leave(new WorkerReport(second.Id));

        var third = new Worker(first.Run);
        await third.JoinAsync();
        RunStatus status = await third.ReportAsync();
        Assert.IsTrue(status.IsMember);
        Assert.AreEqual(0, status.Round);
        await third.SendAsync(0, two);

        CollectionAssert.AreEqual(Expected(initial, two), await third.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Join_InPlaceOfADeadWorker_TakesItsRank()
    {
        (Worker first, Worker second) = await BeginAsync(Values(0), rounds: 3);
        var third = new Worker(first.Run);

        // The second one may live: the third must ask again.
        s_cluster.Clock.Advance(Timeout / 2);
        JoinReply reply = await third.JoinAsync();
        Assert.IsNull(reply.Rank);
        Assert.IsNull(reply.Refusal);
        await first.ReportAsync();
        Assert.IsNull((await third.JoinAsync()).Rank);

        s_cluster.Clock.Advance(Timeout * 0.6);
        await first.ReportAsync();
        Assert.AreEqual(1, (await third.JoinAsync()).Rank);
        Assert.IsFalse((await second.ReportAsync()).IsKnown);
    }

    [TestMethod]
    public async Task Join_BeforeTheDeadWorkerIsDropped_IsAMemberOfTheNextRound()
    {
        (Worker first, _) = await BeginAsync(Values(0), rounds: 3);
        await first.SendAsync(0, Values(1));
        var third = new Worker(first.Run);
        s_cluster.Clock.Advance(Timeout / 2);
        Assert.IsNull((await third.JoinAsync()).Rank);

        // The report that ends the round is the first one's.
        s_cluster.Clock.Advance(Timeout * 0.6);
        Assert.AreEqual(1, (await first.ReportAsync()).Round);

        RunStatus status = await third.ReportAsync();
        Assert.AreEqual(1, status.Round);
        Assert.IsTrue(status.IsMember);
        await first.SendAsync(1, Values(2));
        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        await third.SendAsync(1, Values(3));
        Assert.AreEqual(2, (await first.ReportAsync()).Round);
    }

    [TestMethod]
    public async Task Join_NewcomerThatDied_GetsNoPlace()
    {
        (Worker first, Worker second) = await BeginAsync(Values(0), rounds: 3);
        var third = new Worker(first.Run);
        s_cluster.Clock.Advance(Timeout / 4);
        Assert.IsNull((await third.JoinAsync()).Rank);

        s_cluster.Clock.Advance(Timeout * 1.5);
        await first.ReportAsync();

        Assert.IsFalse((await second.ReportAsync()).IsKnown);
        Assert.IsFalse((await third.ReportAsync()).IsKnown);
        Assert.AreEqual(1, (await first.Run.GetProgress()).WorkerCount);
    }

    [TestMethod]
    public async Task Join_WhileAllLive_GetsARankOfItsOwn()
    {
        (Worker first, Worker second) = await BeginAsync(Values(0), rounds: 3);
        var third = new Worker(first.Run);
        Assert.IsNull((await third.JoinAsync()).Rank);
        await first.ReportAsync();
        await second.ReportAsync();

        Assert.AreEqual(2, (await third.JoinAsync()).Rank);
    }

    [TestMethod]
    public async Task Join_OtherOptionsOrVersion_IsRefusedInWords()
    {
        (Worker first, _) = await BeginAsync(Values(0), rounds: 1);
        ClusterTrainingOptions options = Options();
        options.StepsPerRound = 5;

        JoinReply other = await first.Run.Join(new JoinRequest(Guid.NewGuid(), null, options.GetTerms()));
        Assert.AreEqual("StepsPerRound of the run is 1, and that of this worker 5. Make them agree, or choose another RunName.", other.Refusal);
        RunTerms terms = Options().GetTerms();
        JoinReply older = await first.Run.Join(new JoinRequest(Guid.NewGuid(), null, terms with { Version = "0.0.1" }));
        Assert.AreEqual($"The run has version {terms.Version} of Microsoft.ML.Leap, and this worker version 0.0.1. Use the same one.", older.Refusal);
        Assert.AreEqual(2, (await first.Run.GetProgress()).WorkerCount);
    }

    [TestMethod]
    public async Task Report_PlannerSilent_AnotherOnePlans()
    {
        ITrainingRun run = NewRun();
        var first = new Worker(run);
        var second = new Worker(run);
        await first.JoinAsync();
        Assert.IsTrue((await first.ReportAsync()).MustPlan);
        await second.JoinAsync();
        Assert.IsFalse((await second.ReportAsync()).MustPlan);

        // Its weights have come, and its plan not.
        await first.SendPlanAsync(Values(8), rounds: 1, withPlan: false);
        Assert.AreEqual(Receipt.NotWanted, await second.SendPlanAsync(Values(0), rounds: 1));
        s_cluster.Clock.Advance(Timeout * 0.6);
        await second.ReportAsync();
        s_cluster.Clock.Advance(Timeout * 0.6);
        Assert.IsTrue((await second.ReportAsync()).MustPlan);
        Assert.AreEqual(Receipt.Taken, await second.SendPlanAsync(Values(0), rounds: 1));

        await first.JoinAsync();
        RunStatus status = await first.ReportAsync();
        Assert.IsFalse(status.MustPlan);
        Assert.AreEqual(RunPhase.Training, status.Phase);
        CollectionAssert.AreEqual(Values(0), await first.FetchWeightsAsync(0));
    }

    [TestMethod]
    public async Task Report_FewerThanPlanned_BeginsAfterTheStartWait()
    {
        ITrainingRun run = NewRun();
        var worker = new Worker(run);
        await worker.JoinAsync();
        await worker.ReportAsync();
        await worker.SendPlanAsync(Values(0), rounds: 1);

        RunStatus waiting = await worker.ReportAsync();
        Assert.AreEqual(RunPhase.Waiting, waiting.Phase);
        Assert.AreEqual(new RoundSteps(1, 1), waiting.Steps);
        for (int i = 0; i < 4; i++)
        {
            s_cluster.Clock.Advance(TimeSpan.FromMinutes(2) / 4);
            await worker.ReportAsync();
        }

        RunStatus status = await worker.ReportAsync();
        Assert.AreEqual(RunPhase.Training, status.Phase);
        Assert.IsTrue(status.IsMember);
    }

    [TestMethod]
    public async Task Delete_Run_FreesItsName()
    {
        (Worker first, _) = await BeginAsync(Values(0), rounds: 1);

        await first.Run.Delete();

        ClusterProgress progress = await first.Run.GetProgress();
        Assert.AreEqual(RunPhase.Planning, progress.Phase);
        Assert.AreEqual(0, progress.WorkerCount);
        Assert.IsFalse((await first.ReportAsync()).IsKnown);
    }

    // A run of two workers whose first round has begun.
    private static async Task<(Worker First, Worker Second)> BeginAsync(float[] weights, int rounds)
    {
        ITrainingRun run = NewRun();
        var first = new Worker(run);
        var second = new Worker(run);
        Assert.AreEqual(0, (await first.JoinAsync()).Rank);
        Assert.AreEqual(1, (await second.JoinAsync()).Rank);
        Assert.IsTrue((await first.ReportAsync()).MustPlan);
        Assert.AreEqual(Receipt.Taken, await first.SendPlanAsync(weights, rounds));
        foreach (Worker worker in (Worker[])[first, second])
        {
            RunStatus status = await worker.ReportAsync();
            Assert.AreEqual(RunPhase.Training, status.Phase);
            Assert.IsTrue(status.IsMember);
        }

        return (first, second);
    }

    private static ITrainingRun NewRun() => s_cluster.Run($"run {Interlocked.Increment(ref s_runs)}");

    private static ClusterTrainingOptions Options() => new()
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

    private static float[] Expected(float[] initial, params float[][] differences) =>
        new OuterOptimizer(0.7, 0.9, DifferenceFormat.BFloat16).Step(OuterWeights.Create(initial), [.. differences.Select(AsSent)]).After.Weights;

    private static float[] AsSent(float[] difference) =>
        WeightDifference.Decode(WeightDifference.Encode(difference, DifferenceFormat.BFloat16, out _), difference.Length);

    private static float[] Values(int seed, int count = 500)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
    }

    private sealed class Worker(ITrainingRun run)
    {
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
    }
}
