using System.Diagnostics;
using System.Text.Json;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What repeated measurements come to.</summary>
internal static class Statistics
{
    /// <summary>Returns the middle value, or the mean of the two middle ones.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
            throw new ArgumentException("There is no median of nothing.", nameof(values));
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>Returns the median of the pairs' ratios, which a machine that grows slower with time disturbs less than the ratio of the
    /// medians.</summary>
    public static double MedianRatio(IReadOnlyList<double> numerators, IReadOnlyList<double> denominators)
    {
        if (numerators.Count != denominators.Count)
            throw new ArgumentException($"{numerators.Count} and {denominators.Count} values make no pairs.", nameof(denominators));
        return Median(numerators.Zip(denominators, (numerator, denominator) => numerator / denominator));
    }
}

/// <summary>A mean and its 95 % interval: 1.96 standard errors to both sides.</summary>
internal sealed record Interval(double Mean, double Low, double High)
{
    public static Interval FromSamples(IReadOnlyCollection<double> samples)
    {
        if (samples.Count < 2)
            throw new ArgumentException($"An interval needs at least 2 samples, but there are {samples.Count}.", nameof(samples));
        double mean = samples.Average();
        double variance = samples.Sum(sample => (sample - mean) * (sample - mean)) / (samples.Count - 1);
        double half = 1.96 * Math.Sqrt(variance / samples.Count);
        return new Interval(mean, mean - half, mean + half);
    }

    public override string ToString() => string.Create(
        System.Globalization.CultureInfo.InvariantCulture, $"{Mean:0.000} [{Low:0.000}, {High:0.000}]");
}

/// <summary>One of those that are measured in turn, and what its measurements gave.</summary>
/// <param name="measure">Measures once: a time or a rate, what it was made before not counted.</param>
internal sealed class Contestant(Func<double> measure)
{
    private readonly List<double> _rounds = [];

    /// <summary>Gets what each round gave.</summary>
    public IReadOnlyList<double> Rounds => _rounds;

    public double Median => Statistics.Median(_rounds);

    /// <summary>Measures all of them, round by round. Another one begins each round, so that none always comes after the same.</summary>
    /// <param name="all">The contestants.</param>
    /// <param name="rounds">The rounds that count.</param>
    /// <param name="warmups">The rounds before those: .NET compiles a method for speed only once it has often run.</param>
    /// <param name="between">Called before each round that counts.</param>
    public static void TakeTurns(IReadOnlyList<Contestant> all, int rounds, int warmups = 1, Action? between = null)
    {
        for (int round = -warmups; round < rounds; round++)
        {
            if (round >= 0)
                between?.Invoke();
            for (int i = 0; i < all.Count; i++)
                all[(round + warmups + i) % all.Count].Measure(counts: round >= 0);
        }
    }

    private void Measure(bool counts)
    {
        double value = measure();
        if (counts)
            _rounds.Add(value);
    }
}

/// <summary>A process of this program that works on command: a line in names the work, a line out, of JSON, tells the result. It computes
/// nothing unless asked, so that of several never two compute at once.</summary>
internal sealed class Worker : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts the program with the given arguments; it must call <see cref="Serve"/>.</summary>
    public Worker(IEnumerable<string> arguments)
    {
        ProcessStartInfo start = ChildProgram.Start(arguments);
        start.RedirectStandardInput = true;
        _process = Process.Start(start)!;
    }

    /// <summary>In the child: answers lines until there are no more.</summary>
    public static void Serve(Func<string, object> answer)
    {
        while (Console.ReadLine() is string line)
        {
            Console.WriteLine(JsonSerializer.Serialize(answer(line)));
            Console.Out.Flush();
        }
    }

    /// <summary>Has the work done, and waits for its result.</summary>
    public T Ask<T>(string work)
    {
        _process.StandardInput.WriteLine(work);
        _process.StandardInput.Flush();
        if (_process.StandardOutput.ReadLine() is string line)
            return JsonSerializer.Deserialize<T>(line)!;
        _process.WaitForExit();
        throw new InvalidOperationException($"The process for '{work}' ended with the exit code {_process.ExitCode}.");
    }

    public void Dispose()
    {
        // The end of its input ends it.
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(30)))
            _process.Kill();
        _process.Dispose();
    }
}

/// <summary>Starts this program again, as a process of its own.</summary>
internal static class ChildProgram
{
    /// <summary>Tells how to start it with the given arguments, its output redirected.</summary>
    public static ProcessStartInfo Start(IEnumerable<string> arguments)
    {
        string assembly = Path.Combine(AppContext.BaseDirectory, $"{typeof(ChildProgram).Assembly.GetName().Name}.dll");
        string executable = Path.ChangeExtension(assembly, OperatingSystem.IsWindows() ? ".exe" : null);

        // Where another program uses this assembly, as a test does, it is not the one to start.
        bool hasExecutable = File.Exists(executable);
        var start = new ProcessStartInfo(hasExecutable ? executable : "dotnet") { RedirectStandardOutput = true };
        if (!hasExecutable)
            start.ArgumentList.Add(assembly);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        return start;
    }
}
