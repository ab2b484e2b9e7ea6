using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What <c>leap train --json</c> tells.</summary>
internal sealed record TrainResult(long Parameters, long Step, double? ValidationLoss, long Tokens, double Seconds, TrainResult.Traffic? Cluster)
{
    private static readonly System.Text.Json.JsonSerializerOptions _options = new(System.Text.Json.JsonSerializerDefaults.Web);

    /// <summary>Gets training tokens per second, evaluations and waiting included.</summary>
    public double TokensPerSecond => Tokens / Seconds;

    public static TrainResult Read(string path) => System.Text.Json.JsonSerializer.Deserialize<TrainResult>(File.ReadAllText(path), _options)!;

    /// <summary>What went between a worker and its cluster.</summary>
    public sealed record Traffic(long SentChangeBytes, long SentBytes, long ReceivedBytes, double WaitingSeconds);
}

/// <summary>A process of <c>leap</c> on one core, where the system can hold a process to one. Its error stream goes to a file.</summary>
internal sealed class ToolProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task _errors;
    private readonly string _log;

    /// <param name="log">The file for its error stream.</param>
    /// <param name="core">The core; <see langword="null"/> for all.</param>
    /// <param name="arguments">The arguments of <c>leap</c>.</param>
    public ToolProcess(string log, int? core, IEnumerable<string> arguments)
    {
        _log = log;
        string tool = Path.Combine(AppContext.BaseDirectory, "Leap.Tool.dll");
        string[] pinned = core is int number && ClusterBenchmark.FindInPath("taskset") is string taskset
            ? [taskset, "--cpu-list", number.ToString(CultureInfo.InvariantCulture), "dotnet", tool]
            : ["dotnet", tool];
        string[] all = [.. pinned, .. arguments];
        _process = Process.Start(new ProcessStartInfo(all[0], all[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _output = _process.StandardOutput.ReadToEndAsync();
        _errors = Task.Run(async () =>
        {
            await using var file = new StreamWriter(log) { AutoFlush = true };
            while (await _process.StandardError.ReadLineAsync() is string line)
            {
                await file.WriteLineAsync(line);
                Told?.Invoke(line);
            }
        });
    }

    /// <summary>Called for each line of its error stream.</summary>
    public event Action<string>? Told;

    public string Output => _output.Result;

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void RequireSuccess()
    {
        _process.WaitForExit();
        _errors.Wait();
        if (_process.ExitCode != 0)
            throw new InvalidOperationException($"leap ended with {_process.ExitCode}: {File.ReadLines(_log).LastOrDefault()} ({_log})");
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            Kill();
        _process.Dispose();
    }
}

/// <summary>Silos as processes, and a Redis server where there are several.</summary>
internal sealed class ClusterProcesses : IDisposable
{
    private const string RoundEnded = " ended after ";
    private static readonly TimeSpan Patience = TimeSpan.FromHours(2);

    private readonly List<ToolProcess> _silos = [];
    private readonly Process? _redis;
    private readonly ManualResetEventSlim _told = new();
    private int _rounds;
    private TimeSpan _lastRound;
    private ToolProcess? _holder;

    public ClusterProcesses(string folder, string name, int silos, bool withRedis)
    {
        int port = FreePort();
        if (withRedis)
        {
            string data = Directory.CreateDirectory(Path.Combine(folder, $"{name}-redis")).FullName;
            _redis = Process.Start(new ProcessStartInfo(
                "redis-server", ["--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", data, "--appendonly", "yes"])
            {
                RedirectStandardOutput = true,
            })!;
            _redis.BeginOutputReadLine();
            WaitUntilItListens(port);
            Address = $"redis:127.0.0.1:{port}";
        }

        for (int i = 0; i < silos; i++)
        {
            int siloPort = FreePort();
            int gateway = FreePort();
            string[] arguments = ["silo", "--port", $"{siloPort}", "--gateway", $"{gateway}"];
            var silo = new ToolProcess(Path.Combine(folder, $"{name}-silo{i}.log"), core: null, withRedis ? [.. arguments, "--redis", $"127.0.0.1:{port}"] : arguments);
            silo.Told += line => Listen(silo, line);
            _silos.Add(silo);
            WaitUntilItListens(gateway);
            Address ??= $"127.0.0.1:{gateway}";
        }
    }

    /// <summary>Gets where workers find the cluster.</summary>
    public string Address { get; } = null!;

    /// <summary>Waits until so many rounds have ended.</summary>
    /// <returns>How long the last one took.</returns>
    public TimeSpan WaitForRound(int count)
    {
        long began = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _rounds) < count)
        {
            if (Stopwatch.GetElapsedTime(began) > Patience)
                throw new InvalidOperationException($"No silo told of the end of round {count} for {Patience}.");
            _told.Wait(TimeSpan.FromSeconds(1));
            _told.Reset();
        }

        return _lastRound;
    }

    /// <summary>Kills the silo that holds the run.</summary>
    public void KillHolder() => _holder!.Kill();

    public void Dispose()
    {
        foreach (ToolProcess silo in _silos)
            silo.Dispose();
        if (_redis is not null)
        {
            _redis.Kill();
            _redis.WaitForExit();
            _redis.Dispose();
        }

        _told.Dispose();
    }

    /// <summary>Gets the seconds of each round from what a silo wrote.</summary>
    public static IReadOnlyList<double> ReadRounds(string log) => [.. File.ReadLines(log).Select(ReadRound).OfType<double>()];

    // "Run NAME: round 1 of 4 ended after 12.3 s with ..."
    private static double? ReadRound(string line)
    {
        int place = line.IndexOf(RoundEnded, StringComparison.Ordinal);
        return place < 0 ? null : double.Parse(line[(place + RoundEnded.Length)..].Split(' ')[0], CultureInfo.InvariantCulture);
    }

    private void Listen(ToolProcess silo, string line)
    {
        if (ReadRound(line) is not double seconds)
            return;
        _lastRound = TimeSpan.FromSeconds(seconds);
        _holder = silo;
        Interlocked.Increment(ref _rounds);
        _told.Set();
    }

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void WaitUntilItListens(int port)
    {
        for (long began = Stopwatch.GetTimestamp(); ; Thread.Sleep(100))
        {
            try
            {
                using var client = new System.Net.Sockets.TcpClient("127.0.0.1", port);
                return;
            }
            catch (System.Net.Sockets.SocketException) when (Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(1))
            {
                // Not yet.
            }
        }
    }
}
