using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>A program as a process of its own, with what it writes kept; <c>leap</c> for one.</summary>
internal sealed partial class LeapProcess : IDisposable
{
    private const int Continue = 18;
    private const int Stop = 19;

    // Machines of CI are slow, and have few processors for all of a cluster's processes.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly ConcurrentQueue<string> _errors = new();
    private readonly ConcurrentQueue<string> _output = new();
    private readonly Process _process;

    public LeapProcess(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        Name = string.Join(' ', arguments.Prepend(Path.GetFileName(program)));
        _process = new Process { StartInfo = start };
        _process.ErrorDataReceived += (_, line) => _errors.Enqueue(line.Data ?? "");
        _process.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _process.Start();
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
    }

    public string Name { get; }

    /// <summary>Gets what it wrote to its standard error.</summary>
    public string Log => string.Join('\n', _errors);

    /// <summary>Gets what it wrote to its standard output.</summary>
    public string Output => string.Join('\n', _output);

    public static LeapProcess Leap(params string[] arguments) => LeapOf(AppContext.BaseDirectory, arguments);

    public static LeapProcess LeapOf(string folder, params string[] arguments) => new(Path.Combine(folder, "Leap.Tool"), arguments);

    /// <summary>Tells whether a line of the log has all of these words.</summary>
    public bool HasLine(params string[] words) => _errors.Any(line => words.All(word => line.Contains(word, StringComparison.Ordinal)));

    public int CountLines(params string[] words) => _errors.Count(line => words.All(word => line.Contains(word, StringComparison.Ordinal)));

    /// <summary>Waits for a line of the log that has all of these words.</summary>
    public Task WaitForLineAsync(params string[] words) => WaitAsync(() => HasLine(words), $"'{string.Join("', '", words)}'");

    /// <summary>Waits for a state of things.</summary>
    public async Task WaitAsync(Func<bool> isReached, string what)
    {
        for (var watch = Stopwatch.StartNew(); !isReached(); await Task.Delay(10))
        {
            Assert.IsFalse(_process.HasExited, $"'{Name}' ended before {what}:\n{Log}");
            Assert.IsLessThan(Patience, watch.Elapsed, $"'{Name}' did not come to {what}:\n{Log}");
        }
    }

    /// <summary>Lets it run for moments only, until a state of things is reached.</summary>
    public async Task CrawlAsync(Func<bool> isReached)
    {
        for (var watch = Stopwatch.StartNew(); !isReached(); await Task.Delay(100))
        {
            Assert.IsLessThan(Patience, watch.Elapsed, $"'{Name}' waited in vain:\n{Log}");
            SendStop();
            await Task.Delay(500);
            SendContinue();
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <returns>Its exit status.</returns>
    public async Task<int> EndAsync()
    {
        using var timeout = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"'{Name}' did not end:\n{Log}");
        }

        return _process.ExitCode;
    }

    /// <summary>Waits for a good end.</summary>
    public async Task EndWellAsync() => Assert.AreEqual(0, await EndAsync(), $"{Name}:\n{Log}");

    /// <summary>Kills it, as kill -9 does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void SendStop() => Send(Stop);

    public void SendContinue() => Send(Continue);

    public void Dispose()
    {
        if (!_process.HasExited)
            Kill();
        _process.Dispose();
    }

    // Numbers of Linux.
    private void Send(int signal) => Assert.AreEqual(0, SendSignal(_process.Id, signal), $"signal {signal} to '{Name}'");

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);
}
