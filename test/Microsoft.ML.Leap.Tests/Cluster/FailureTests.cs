using System.Reflection;
using System.Text;

namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>Workers as processes that die, stop or come late: the run ends with the loss of one that nothing disturbed.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
public sealed class FailureTests
{
    private static ProcessCluster s_cluster = null!;
    private static LeapProcess s_silo = null!;
    private static string s_place = null!;
    private static double s_undisturbedLoss;

    public TestContext TestContext { get; set; } = null!;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _)
    {
        s_cluster = new ProcessCluster();
        (s_silo, s_place) = await s_cluster.StartSiloAsync();
        s_undisturbedLoss = await RunUndisturbedAsync(s_cluster, s_place);
    }

    [ClassCleanup]
    public static void Stop() => s_cluster.Dispose();

    /// <summary>Trains with two workers that nothing disturbs.</summary>
    /// <returns>The loss.</returns>
    internal static async Task<double> RunUndisturbedAsync(ProcessCluster cluster, string place)
    {
        LeapProcess first = cluster.StartWorker(place, "undisturbed", "undisturbed-1");
        LeapProcess second = cluster.StartWorker(place, "undisturbed", "undisturbed-2");
        await first.EndWellAsync();
        await second.EndWellAsync();
        cluster.RequireEqual("undisturbed-1", "undisturbed-2");
        return cluster.LossOf("undisturbed-1");
    }

    [TestMethod]
    public async Task Worker_KilledWithinARound_TheOtherEnds()
    {
        LeapProcess survivor = s_cluster.StartWorker(s_place, "kill", "survivor");
        LeapProcess victim = s_cluster.StartWorker(s_place, "kill", "victim");
        await s_silo.WaitForLineAsync("Run kill: round 4 of");

        victim.Kill();
        await survivor.EndWellAsync();

        Assert.IsTrue(s_silo.HasLine("Run kill: nothing was heard of the worker of rank", "the run goes on without it"), s_silo.Log);
        Assert.IsTrue(s_silo.HasLine("Run kill: round 10 of 10 ended", "of 1 of 1 workers"), s_silo.Log);
        AssertLoss("survivor");
    }

    [TestMethod]
    public async Task Worker_KilledAndStartedAgain_TakesItsPartUp()
    {
        LeapProcess survivor = s_cluster.StartWorker(s_place, "replace", "replace-1");
        LeapProcess victim = s_cluster.StartWorker(s_place, "replace", "replace-2");
        await s_silo.WaitForLineAsync("Run replace: round 2 of");

        victim.Kill();
        int joined = s_silo.CountLines("Run replace: a worker joined");
        LeapProcess heir = s_cluster.StartWorker(s_place, "replace", "replace-2");
        await survivor.CrawlAsync(() => s_silo.CountLines("Run replace: a worker joined") > joined);
        await survivor.EndWellAsync();
        await heir.EndWellAsync();

        Assert.IsTrue(s_silo.HasLine("Run replace: round 10 of 10 ended", "of 2 of 2 workers"), s_silo.Log);
        Assert.AreEqual(0, s_silo.CountLines("Run replace: a worker joined, with rank 2"), s_silo.Log);
        s_cluster.RequireEqual("replace-1", "replace-2");
        AssertLoss("replace-1");
    }

    [TestMethod]
    public async Task Worker_Stopped_IsLeftOutAndComesBack()
    {
        LeapProcess first = s_cluster.StartWorker(s_place, "stop", "stop-1");
        LeapProcess second = s_cluster.StartWorker(s_place, "stop", "stop-2");
        await s_silo.WaitForLineAsync("Run stop: round 2 of");

        second.SendStop();
        await s_silo.WaitForLineAsync("Run stop: nothing was heard of the worker of rank");
        second.SendContinue();
        await first.CrawlAsync(() => s_silo.CountLines("Run stop: a worker joined") > 2);
        await first.EndWellAsync();
        await second.EndWellAsync();

        Assert.IsTrue(s_silo.HasLine("Run stop: round", "of 1 of 1 workers"), s_silo.Log);
        Assert.IsTrue(s_silo.HasLine("Run stop: round 10 of 10 ended", "of 2 of 2 workers"), s_silo.Log);
        s_cluster.RequireEqual("stop-1", "stop-2");
        AssertLoss("stop-1");
    }

    [TestMethod]
    public async Task Worker_Late_TakesPartFromTheNextRoundOn()
    {
        LeapProcess first = s_cluster.StartWorker(s_place, "late", "late-1", "--start-wait", "0");
        await s_silo.WaitForLineAsync("Run late: round 1 of", "of 1 of 1 workers");

        LeapProcess second = s_cluster.StartWorker(s_place, "late", "late-2", "--start-wait", "0");
        await first.CrawlAsync(() => s_silo.HasLine("Run late: a worker joined, with rank 1"));
        await first.EndWellAsync();
        await second.EndWellAsync();

        Assert.IsTrue(s_silo.HasLine("Run late: round 10 of 10 ended", "of 2 of 2 workers"), s_silo.Log);
        s_cluster.RequireEqual("late-1", "late-2");
        AssertLoss("late-1");
    }

    [TestMethod]
    public async Task Worker_OtherOptions_IsRefusedInOneSentence()
    {
        LeapProcess worker = s_cluster.StartWorker(s_place, "undisturbed", "refused", "--start-wait", "7");

        Assert.AreEqual(1, await worker.EndAsync(), worker.Log);
        StringAssert.Contains(
            worker.Log,
            "leap: The run undisturbed refuses this worker. StartWait of the run is 00:02:00, and that of this worker 00:00:07. Make them agree, or choose another RunName.");
        Assert.IsFalse(File.Exists(s_cluster.PathOf("refused.zip")));
    }

    [TestMethod]
    public async Task Worker_OtherVersion_IsRefusedInOneSentence()
    {
        using var folder = new TemporaryFolder();
        string version = VersionOf(typeof(LeapCluster).Assembly);
        string other = $"9{version[1..]}";
        CopyTool(folder.Path, version, other);

        LeapProcess worker = s_cluster.StartWorkerOf(folder.Path, s_place, "undisturbed", "refused");

        Assert.AreEqual(1, await worker.EndAsync(), worker.Log);
        StringAssert.Contains(
            worker.Log,
            $"leap: The run undisturbed refuses this worker. The run has version {version} of Microsoft.ML.Leap, and this worker version {other}. Use the same one.");
        Assert.IsFalse(File.Exists(s_cluster.PathOf("refused.zip")));
    }

    private static string VersionOf(Assembly assembly) => assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    // Links to all files, but for those by which the host finds the folder, and the assembly whose version is another one.
    private static void CopyTool(string folder, string version, string other)
    {
        foreach (string path in Directory.GetFileSystemEntries(AppContext.BaseDirectory))
        {
            string name = Path.GetFileName(path);
            string target = Path.Combine(folder, name);
            if (name.StartsWith("Leap.Tool", StringComparison.Ordinal))
                File.Copy(path, target);
            else
                File.CreateSymbolicLink(target, path);
        }

        string assembly = Path.Combine(folder, $"{typeof(LeapCluster).Assembly.GetName().Name}.dll");
        byte[] bytes = File.ReadAllBytes(assembly);
        byte[] sought = Encoding.UTF8.GetBytes(version);
        int place = bytes.AsSpan().IndexOf(sought);
        Assert.IsGreaterThanOrEqualTo(0, place);
        Encoding.UTF8.GetBytes(other).CopyTo(bytes, place);
        File.Delete(assembly);
        File.WriteAllBytes(assembly, bytes);
    }

    private void AssertLoss(string model)
    {
        double loss = s_cluster.LossOf(model);
        TestContext.WriteLine($"{loss:0.0000} nats per token, undisturbed {s_undisturbedLoss:0.0000}");
        Assert.AreEqual(s_undisturbedLoss, loss, ProcessCluster.Tolerance);
    }
}
