namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>A run as its workers see it, by calls without a network that trains.</summary>
[TestClass]
public sealed class TrainingRunGrainTests
{
    private static LocalCluster s_cluster = null!;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_cluster = await LocalCluster.StartAsync();

    [ClassCleanup]
    public static async Task StopAsync() => await s_cluster.DisposeAsync();

    [TestMethod]
    public async Task Report_TwoWorkersSend_EndsTheRunWithTheOuterStep()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1), two = FakeWorker.Values(2);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 1);

        Assert.AreEqual(Receipt.Taken, await first.SendAsync(0, one));
        RunStatus between = await second.ReportAsync();
        Assert.IsFalse(between.HasDifference);
        Assert.AreEqual(0, between.Round);
        Assert.IsTrue((await first.ReportAsync()).HasDifference);
        Assert.AreEqual(Receipt.Taken, await second.SendAsync(0, two));

        RunStatus status = await first.ReportAsync();
        Assert.AreEqual(RunPhase.Over, status.Phase);
        Assert.AreEqual(1, status.Round);
        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one, two), await first.FetchWeightsAsync(1));

        // Another worker may have sent first: the order of ranks decides how sums round.
        Assert.IsNull(await first.Run.Get(BlobKind.Weights, 0, 0));
    }

    [TestMethod]
    public async Task Send_DamagedChunk_IsAskedForAgain()
    {
        // Two chunks and a bit.
        float[] initial = FakeWorker.Values(0, 1_300_000), one = FakeWorker.Values(1, 1_300_000), two = FakeWorker.Values(2, 1_300_000);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 1);
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

        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one, two), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Send_WholeChunksOfADamagedDifference_AreAskedForAgain()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1), two = FakeWorker.Values(2);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 1);

        Receipt receipt = await first.Run.Send(first.Id, Chunk.Cut(BlobKind.Difference, 0, new byte[100], 0));
        Assert.AreEqual(Receipt.Damaged, receipt);
        Assert.IsFalse((await first.ReportAsync()).HasDifference);
        await first.SendAsync(0, one);
        await second.SendAsync(0, two);

        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one, two), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Send_Twice_CountsOnce()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1), two = FakeWorker.Values(2);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 2);

        for (int i = 0; i < 3; i++)
            Assert.AreEqual(Receipt.Taken, await first.SendAsync(0, one));
        await second.SendAsync(0, two);

        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one, two), await first.FetchWeightsAsync(1));

        // And those of the round before belong nowhere.
        Assert.AreEqual(Receipt.NotWanted, await first.SendAsync(0, one));
        Assert.IsFalse((await first.ReportAsync()).HasDifference);
    }

    [TestMethod]
    public async Task Send_AfterTheStragglerWait_IsNotWantedAndCounted()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 2);
        await first.SendAsync(0, one);

        // The second worker lives all the time.
        for (TimeSpan waited = TimeSpan.Zero; waited < FakeWorker.StragglerWait; waited += FakeWorker.Timeout / 2)
        {
            Assert.AreEqual(0, (await first.ReportAsync()).Round);
            await second.ReportAsync();
            s_cluster.Clock.Advance(FakeWorker.Timeout / 2);
        }

        Assert.AreEqual(1, (await second.ReportAsync()).Round);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(0, FakeWorker.Values(2)));
        Assert.AreEqual(1, (await first.Run.GetProgress()).LateDifferences);
        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one), await first.FetchWeightsAsync(1));
        Assert.Contains(line => line.Contains("round 1 ended without the difference of rank 1", StringComparison.Ordinal), s_cluster.Log.Lines);
        Assert.Contains(line => line.Contains("the difference of rank 1 for round 0 came in round 1", StringComparison.Ordinal), s_cluster.Log.Lines);

        // It is a member of the next round like the other.
        Assert.IsTrue((await second.ReportAsync()).IsMember);
        await second.SendAsync(1, FakeWorker.Values(2));
        await first.SendAsync(1, FakeWorker.Values(3));
        Assert.AreEqual(RunPhase.Over, (await first.ReportAsync()).Phase);
    }

    [TestMethod]
    public async Task GetProgress_ValidationLosses_AreMeanOfWorkersAndThenTheLast()
    {
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 1);
        await first.Run.Report(new WorkerReport(first.Id, ValidationLoss: 3));
        Assert.AreEqual(3, (await first.Run.GetProgress()).ValidationLoss);
        await second.Run.Report(new WorkerReport(second.Id, ValidationLoss: 2));
        Assert.AreEqual(2.5, (await first.Run.GetProgress()).ValidationLoss);
        await first.SendAsync(0, FakeWorker.Values(1));
        await second.SendAsync(0, FakeWorker.Values(2));

        await first.Run.Leave(new WorkerReport(first.Id, ValidationLoss: 1.5));
        await second.Run.Leave(new WorkerReport(second.Id, ValidationLoss: 1.25));

        Assert.AreEqual(1.25, (await first.Run.GetProgress()).ValidationLoss);
    }

    [TestMethod]
    public async Task Join_OtherOptionsOrVersion_IsRefusedInWords()
    {
        (FakeWorker first, _) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 1);
        ClusterTrainingOptions options = FakeWorker.Options();
        options.StepsPerRound = 5;

        JoinReply other = await first.Run.Join(new JoinRequest(Guid.NewGuid(), null, options.GetTerms()));
        Assert.AreEqual("StepsPerRound of the run is 1, and that of this worker 5. Make them agree, or choose another RunName.", other.Refusal);
        RunTerms terms = FakeWorker.Options().GetTerms();
        JoinReply older = await first.Run.Join(new JoinRequest(Guid.NewGuid(), null, terms with { Version = "0.0.1" }));
        Assert.AreEqual($"The run has version {terms.Version} of Microsoft.ML.Leap, and this worker version 0.0.1. Use the same one.", older.Refusal);
        Assert.AreEqual(2, (await first.Run.GetProgress()).WorkerCount);
    }

    [TestMethod]
    public async Task Report_PlannerSilent_AnotherOnePlans()
    {
        ITrainingRun run = FakeWorker.NewRun(s_cluster);
        var first = new FakeWorker(run);
        var second = new FakeWorker(run);
        await first.JoinAsync();
        Assert.IsTrue((await first.ReportAsync()).MustPlan);
        await second.JoinAsync();
        Assert.IsFalse((await second.ReportAsync()).MustPlan);

        // Its weights have come, and its plan not.
        await first.SendPlanAsync(FakeWorker.Values(8), rounds: 1, withPlan: false);
        Assert.AreEqual(Receipt.NotWanted, await second.SendPlanAsync(FakeWorker.Values(0), rounds: 1));
        s_cluster.Clock.Advance(FakeWorker.Timeout * 0.6);
        await second.ReportAsync();
        s_cluster.Clock.Advance(FakeWorker.Timeout * 0.6);
        Assert.IsTrue((await second.ReportAsync()).MustPlan);
        Assert.AreEqual(Receipt.Taken, await second.SendPlanAsync(FakeWorker.Values(0), rounds: 1));

        await first.JoinAsync();
        RunStatus status = await first.ReportAsync();
        Assert.IsFalse(status.MustPlan);
        Assert.AreEqual(RunPhase.Training, status.Phase);
        CollectionAssert.AreEqual(FakeWorker.Values(0), await first.FetchWeightsAsync(0));
    }

    [TestMethod]
    public async Task Report_FewerThanPlanned_BeginsAfterTheStartWait()
    {
        ITrainingRun run = FakeWorker.NewRun(s_cluster);
        var worker = new FakeWorker(run);
        await worker.JoinAsync();
        await worker.ReportAsync();
        await worker.SendPlanAsync(FakeWorker.Values(0), rounds: 1);

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
        (FakeWorker first, _) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 1);

        await first.Run.Delete();

        ClusterProgress progress = await first.Run.GetProgress();
        Assert.AreEqual(RunPhase.Planning, progress.Phase);
        Assert.AreEqual(0, progress.WorkerCount);
        Assert.IsFalse((await first.ReportAsync()).IsKnown);
    }
}
