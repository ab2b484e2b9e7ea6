using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.ML.Leap.Tests.Cluster;

namespace Leap.Tool.Tests;

/// <summary><c>leap silo</c> and <c>leap train --cluster</c>, within this process; FailureTests has them as processes.</summary>
[TestClass]
public sealed class SiloCommandTests : ToolTest
{
    [TestMethod]
    public void Silo_BadOptions_SaysWhatIsWrong()
    {
        ToolRun.Bad(2, "--host must be an address that others reach", "silo", "--host", "0.0.0.0");
        ToolRun.Bad(2, "--host must be an address that others reach", "silo", "--host", "somewhere");
        ToolRun.Bad(2, "--port must be from 1 to 65535, but is 0.", "silo", "--port", "0");
        ToolRun.Bad(2, "--gateway must be from 1 to 65535, but is 70000.", "silo", "--gateway", "70000");
        ToolRun.Bad(2, "A Redis server is given as HOST:PORT", "silo", "--redis", "");
    }

    [TestMethod]
    public void Train_BadClusterOptions_SaysWhatIsWrong()
    {
        string texts = Write("a.txt", "the cat\nthe dog");
        string[] train = ["train", texts, "-o", PathOf("m.zip")];
        ToolRun.Bad(2, "--run goes with --cluster, which is not given.", [.. train, "--run", "x"]);
        ToolRun.Bad(2, "--workers goes with --cluster, which is not given.", [.. train, "--workers", "3"]);
        ToolRun.Bad(2, "--cluster needs the run's name: --run NAME.", [.. train, "--cluster", "localhost"]);
        foreach (string place in (string[])["localhost:x", ":30000", "localhost:0", "localhost:70000", ""])
            ToolRun.Bad(2, $"--cluster must be HOST:PORT or redis:HOST:PORT, but is '{place}'.", [.. train, "--run", "x", "--cluster", place]);
        ToolRun.Bad(2, "--cluster names the machine 'no.such.machine.invalid', which cannot be found", [.. train, "--run", "x", "--cluster", "no.such.machine.invalid"]);
        ToolRun.Bad(2, "TimeBudget must not be set on a cluster", [.. train, "--run", "x", "--cluster", "localhost", "--time", "1m"]);
        ToolRun.Bad(2, "WorkerCount must be at least 1.", [.. train, "--run", "x", "--cluster", "localhost", "--workers", "0"]);
    }

    [TestMethod]
    public void Train_NoSiloThere_SaysHowToStartOne()
    {
        string place = $"127.0.0.1:{LocalCluster.FreePort()}";
        ToolRun.Bad(1, $"The cluster at {place} cannot be reached: ", "train", Write("a.txt", "the cat\nthe dog"), "-o", PathOf("m.zip"), "--run", "x", "--cluster", place);
    }

    [TestMethod]
    public async Task Silo_PortInUse_SaysSo()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string port = ((IPEndPoint)listener.LocalEndpoint).Port.ToString();

        ToolRun run = await ToolRun.RunAsync(CancellationToken.None, "silo", "--port", port, "--gateway", LocalCluster.FreePort().ToString());

        Assert.AreEqual(1, run.ExitCode, run.Errors);
        Assert.AreEqual("", run.Output);
        StringAssert.Contains(run.Errors, "in use");
    }

    [TestMethod]
    [DataRow("--port", "--gateway")]
    [DataRow("--gateway", "--port")]
    public async Task Silo_PortOfAnotherSilo_SaysSo(string taken, string other)
    {
        // As Orleans listens: others that ask for it may share the port.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Start();
        string port = ((IPEndPoint)listener.LocalEndpoint).Port.ToString();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));

        ToolRun run = await ToolRun.RunAsync(limit.Token, "silo", taken, port, other, LocalCluster.FreePort().ToString());

        Assert.AreEqual(1, run.ExitCode, run.Errors);
        Assert.AreEqual("", run.Output);
        StringAssert.Contains(run.Errors, $"Port {port} of 127.0.0.1 is in use, perhaps by another silo. End that, or choose another port by {taken}.");
    }

    [TestMethod]
    public async Task Silo_UntilItIsCancelled_TrainsAWorker()
    {
        using var ending = new CancellationTokenSource();
        int gateway = LocalCluster.FreePort();
        Task<ToolRun> silo = ToolRun.RunAsync(ending.Token, "silo", "--port", LocalCluster.FreePort().ToString(), "--gateway", gateway.ToString(), "--json");
        while (!await AnswersAsync(gateway))
            Assert.IsFalse(silo.IsCompleted);
        string texts = Write("a.txt", string.Join('\n', Enumerable.Range(0, 40).Select(i => $"the cat number {i} sat on the mat")));

        ToolRun run = ToolRun.Good(
            "train", texts, "-o", PathOf("m.zip"), "--cluster", $"localhost:{gateway}", "--run", "x", "--workers", "1", "--steps", "8", "--round", "4", "--tokenizer", "bytes",
            "--hidden", "16", "--heads", "2", "--layers", "1", "--context", "16", "--memory", "0", "--device", "cpu", "--json");
        await ending.CancelAsync();
        ToolRun ended = await silo;

        JsonElement result = JsonElement.Parse(run.Output);
        Assert.AreEqual(8, result.GetProperty("step").GetInt32());
        Assert.IsGreaterThan(0, result.GetProperty("cluster").GetProperty("sentChangeBytes").GetInt64());
        Assert.AreEqual(0, ended.ExitCode, ended.Errors);
        Assert.AreEqual($"127.0.0.1:{gateway}", JsonElement.Parse(ended.Output).GetProperty("gateway").GetString());
    }

    private static async Task<bool> AnswersAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            await Task.Delay(50);
            return false;
        }
    }
}
