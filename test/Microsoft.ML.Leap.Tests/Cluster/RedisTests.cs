namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>Clusters that Redis keeps: silos and Redis itself die, and the run goes on.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
public sealed class RedisTests
{
    private const string Program = "redis-server";

    private static string? s_program;
    private static double s_undisturbedLoss;

    public TestContext TestContext { get; set; } = null!;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _)
    {
        s_program = Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, Program)).FirstOrDefault(File.Exists);
        if (s_program is null)
            return;
        using var cluster = new ProcessCluster();
        string place = (await cluster.StartSiloAsync()).Place;
        s_undisturbedLoss = await FailureTests.RunUndisturbedAsync(cluster, place);
    }

    [TestInitialize]
    public void RequireRedis()
    {
        if (s_program is null)
            Assert.Inconclusive($"There is no {Program}: eng/cluster-check.sh installs it.");
    }

    [TestMethod]
    public async Task Silo_KilledWhileItHoldsTheRun_AnotherOneTakesItUp()
    {
        using var cluster = new ProcessCluster();
        (_, string server) = await StartRedisAsync(cluster);
        (LeapProcess one, _) = await cluster.StartSiloAsync("--redis", server);
        (LeapProcess other, _) = await cluster.StartSiloAsync("--redis", server);
        LeapProcess first = cluster.StartWorker($"redis:{server}", "silo", "silo-1", "--worker-timeout", "60");
        LeapProcess second = cluster.StartWorker($"redis:{server}", "silo", "silo-2", "--worker-timeout", "60");
        string[] round = ["Run silo: round 3 of"];
        await first.WaitAsync(() => one.HasLine(round) || other.HasLine(round), "round 3");

        (LeapProcess holder, LeapProcess survivor) = one.HasLine(round) ? (one, other) : (other, one);
        holder.Kill();
        await first.EndWellAsync();
        await second.EndWellAsync();

        Assert.IsTrue(survivor.HasLine("Run silo: round 10 of 10 ended", "of 2 of 2 workers"), survivor.Log);
        cluster.RequireEqual("silo-1", "silo-2");
        AssertLoss(cluster, "silo-1");
    }

    [TestMethod]
    public async Task Redis_StartedAgain_TheRunGoesOn()
    {
        using var cluster = new ProcessCluster();
        (LeapProcess redis, string server) = await StartRedisAsync(cluster);
        (LeapProcess silo, _) = await cluster.StartSiloAsync("--redis", server);
        LeapProcess first = cluster.StartWorker($"redis:{server}", "redis", "redis-1");
        LeapProcess second = cluster.StartWorker($"redis:{server}", "redis", "redis-2");
        await silo.WaitForLineAsync("Run redis: round 3 of");

        redis.Kill();
        await silo.WaitForLineAsync("Run redis: the state could not be stored, which is tried again");
        await StartRedisAsync(cluster, server);
        await first.EndWellAsync();
        await second.EndWellAsync();

        Assert.IsTrue(silo.HasLine("Run redis: round 10 of 10 ended", "of 2 of 2 workers"), silo.Log);
        cluster.RequireEqual("redis-1", "redis-2");
        AssertLoss(cluster, "redis-1");
    }

    // On the disk before it answers: what is killed has lost nothing that it promised to keep.
    private static async Task<(LeapProcess Redis, string Server)> StartRedisAsync(ProcessCluster cluster, string? server = null)
    {
        server ??= $"127.0.0.1:{LocalCluster.FreePort()}";
        LeapProcess redis = cluster.Add(new LeapProcess(
            s_program!, "--port", server.Split(':')[1], "--bind", "127.0.0.1", "--dir", Path.GetDirectoryName(cluster.PathOf("x"))!, "--appendonly", "yes",
            "--appendfsync", "always"));
        await redis.WaitAsync(() => redis.Output.Contains("Ready to accept connections", StringComparison.Ordinal), "its start");
        return (redis, server);
    }

    private void AssertLoss(ProcessCluster cluster, string model)
    {
        double loss = cluster.LossOf(model);
        TestContext.WriteLine($"{loss:0.0000} nats per token, undisturbed {s_undisturbedLoss:0.0000}");
        Assert.AreEqual(s_undisturbedLoss, loss, ProcessCluster.Tolerance);
    }
}
