namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>Who has a place in a run, as its workers see it.</summary>
[TestClass]
public sealed class RunWorkersTests
{
    private static LocalCluster s_cluster = null!;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_cluster = await LocalCluster.StartAsync();

    [ClassCleanup]
    public static async Task StopAsync() => await s_cluster.DisposeAsync();

    [TestMethod]
    public async Task Report_SilentWorker_IsLeftOutAndJoinsTheNextRound()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 3);
        await first.SendAsync(0, one);

        s_cluster.Clock.Advance(FakeWorker.Timeout / 2);
        Assert.AreEqual(0, (await first.ReportAsync()).Round);
        s_cluster.Clock.Advance(FakeWorker.Timeout * 0.6);
        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one), await first.FetchWeightsAsync(1));

        Assert.IsFalse((await second.ReportAsync()).IsKnown);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(1, FakeWorker.Values(2)));
        await second.JoinAsync();
        await first.ReportAsync();
        Assert.AreEqual(1, (await second.JoinAsync()).Rank);
        RunStatus late = await second.ReportAsync();
        Assert.IsTrue(late.IsKnown);
        Assert.IsFalse(late.IsMember);
        Assert.AreEqual(Receipt.NotWanted, await second.SendAsync(1, FakeWorker.Values(2)));

        await first.SendAsync(1, FakeWorker.Values(3));
        RunStatus next = await second.ReportAsync();
        Assert.AreEqual(2, next.Round);
        Assert.IsTrue(next.IsMember);
        Assert.AreEqual(0, (await first.Run.GetProgress()).LateDifferences);
    }

    [TestMethod]
    public async Task Leave_OneOfTwo_EndsTheRoundWithoutIt()
    {
        float[] initial = FakeWorker.Values(0), one = FakeWorker.Values(1);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 2);
        await first.SendAsync(0, one);

        await second.Run.Leave(new WorkerReport(second.Id));

        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        CollectionAssert.AreEqual(FakeWorker.Expected(initial, one), await first.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Report_AllMembersGone_BeginsTheRoundAnewWithOthers()
    {
        float[] initial = FakeWorker.Values(0), two = FakeWorker.Values(2);
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, initial, rounds: 1);
        await first.Run.Leave(new WorkerReport(first.Id));
        await second.Run.Leave(new WorkerReport(second.Id));

        var third = new FakeWorker(first.Run);
        await third.JoinAsync();
        RunStatus status = await third.ReportAsync();
        Assert.IsTrue(status.IsMember);
        Assert.AreEqual(0, status.Round);
        await third.SendAsync(0, two);

        CollectionAssert.AreEqual(FakeWorker.Expected(initial, two), await third.FetchWeightsAsync(1));
    }

    [TestMethod]
    public async Task Join_InPlaceOfADeadWorker_TakesItsRank()
    {
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 3);
        var third = new FakeWorker(first.Run);

        // The second one may live: the third must ask again.
        s_cluster.Clock.Advance(FakeWorker.Timeout / 2);
        JoinReply reply = await third.JoinAsync();
        Assert.IsNull(reply.Rank);
        Assert.IsNull(reply.Refusal);
        await first.ReportAsync();
        Assert.IsNull((await third.JoinAsync()).Rank);

        s_cluster.Clock.Advance(FakeWorker.Timeout * 0.6);
        await first.ReportAsync();
        Assert.AreEqual(1, (await third.JoinAsync()).Rank);
        Assert.IsFalse((await second.ReportAsync()).IsKnown);
    }

    [TestMethod]
    public async Task Join_BeforeTheDeadWorkerIsDropped_IsAMemberOfTheNextRound()
    {
        (FakeWorker first, _) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 3);
        await first.SendAsync(0, FakeWorker.Values(1));
        var third = new FakeWorker(first.Run);
        s_cluster.Clock.Advance(FakeWorker.Timeout / 2);
        Assert.IsNull((await third.JoinAsync()).Rank);

        // The report that ends the round is the first one's.
        s_cluster.Clock.Advance(FakeWorker.Timeout * 0.6);
        Assert.AreEqual(1, (await first.ReportAsync()).Round);

        RunStatus status = await third.ReportAsync();
        Assert.AreEqual(1, status.Round);
        Assert.IsTrue(status.IsMember);
        await first.SendAsync(1, FakeWorker.Values(2));
        Assert.AreEqual(1, (await first.ReportAsync()).Round);
        await third.SendAsync(1, FakeWorker.Values(3));
        Assert.AreEqual(2, (await first.ReportAsync()).Round);
    }

    [TestMethod]
    public async Task Join_NewcomerThatDied_GetsNoPlace()
    {
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 3);
        var third = new FakeWorker(first.Run);
        s_cluster.Clock.Advance(FakeWorker.Timeout / 4);
        Assert.IsNull((await third.JoinAsync()).Rank);

        s_cluster.Clock.Advance(FakeWorker.Timeout * 1.5);
        await first.ReportAsync();

        Assert.IsFalse((await second.ReportAsync()).IsKnown);
        Assert.IsFalse((await third.ReportAsync()).IsKnown);
        Assert.AreEqual(1, (await first.Run.GetProgress()).WorkerCount);
    }

    [TestMethod]
    public async Task Join_WhileAllLive_GetsARankOfItsOwn()
    {
        (FakeWorker first, FakeWorker second) = await FakeWorker.BeginAsync(s_cluster, FakeWorker.Values(0), rounds: 3);
        var third = new FakeWorker(first.Run);
        Assert.IsNull((await third.JoinAsync()).Rank);
        await first.ReportAsync();
        await second.ReportAsync();

        Assert.AreEqual(2, (await third.JoinAsync()).Rank);
    }
}
