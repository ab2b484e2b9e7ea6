using System.Diagnostics;
using System.Runtime;

namespace Microsoft.ML.Leap.Soak;

/// <summary>Many threads of operations beside one that collects garbage without end. Each result must be that of one thread alone.</summary>
internal static class Crowd
{
    private const int Works = 12;

    // Caches fill within the first part of a run.
    private const double WarmPart = 0.3;
    private const double MostGrowth = 16e6;

    /// <summary>Runs the crowd.</summary>
    /// <param name="time">For how long.</param>
    /// <param name="threadCount">The threads beside the collecting one.</param>
    /// <param name="tell">Is told of the counts and the memory.</param>
    /// <returns>What went wrong; empty for nothing.</returns>
    public static IReadOnlyList<string> Run(TimeSpan time, int threadCount, Action<string> tell)
    {
        using var operations = new Operations();
        string[][] expected = RunAlone(operations);
        long before = MeasureManagedMemory();
        List<string> faults = [];
        long[] counts = new long[operations.All.Count];
        List<(double Seconds, long Managed, long Resident)> samples = [];
        using var end = new CancellationTokenSource(time);
        var watch = Stopwatch.StartNew();

        // Own threads: the pool would give so many only after a while.
        Thread[] threads =
        [
            .. Enumerable.Range(0, threadCount).Select(i => new Thread(() => Work(new Random(i)))),
            new Thread(Collect),
        ];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();

        for (int i = 0; i < counts.Length; i++)
            tell($"{operations.All[i].Name}: {counts[i]} times");
        CheckMemory();
        return faults;

        void Work(Random random)
        {
            while (!end.IsCancellationRequested)
            {
                int which = random.Next(operations.All.Count), n = random.Next(Works);
                try
                {
                    if (Operations.Digest(operations.All[which].Run(n)) != expected[which][n])
                        Report($"{operations.All[which].Name} {n}: another result than on one thread");
                }
                catch (Exception exception)
                {
                    Report($"{operations.All[which].Name} {n}: {exception}");
                }

                Interlocked.Increment(ref counts[which]);
            }
        }

        void Report(string fault)
        {
            lock (faults)
                faults.Add(fault);
        }

        void Collect()
        {
            var sampled = TimeSpan.Zero;
            while (!end.IsCancellationRequested)
            {
                GC.Collect(0, GCCollectionMode.Forced, blocking: true);
                if (watch.Elapsed - sampled < time / 40)
                    continue;
                sampled = watch.Elapsed;
                GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
                samples.Add((sampled.TotalSeconds, GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet));
            }
        }

        void CheckMemory()
        {
            var warm = samples.Where(sample => sample.Seconds > WarmPart * time.TotalSeconds).ToArray();
            if (warm.Length < 4)
                return;
            double managed = Slope([.. warm.Select(sample => (sample.Seconds, (double)sample.Managed))]) * (warm[^1].Seconds - warm[0].Seconds);
            // Of work in flight the samples hold more or less by chance, so what stays behind is judged when all is quiet.
            long growth = MeasureManagedMemory() - before;
            double resident = Slope([.. warm.Select(sample => (sample.Seconds, (double)sample.Resident))]) * (warm[^1].Seconds - warm[0].Seconds);
            tell($"memory after the first {WarmPart:0 %}: managed {managed / 1e6:+0.0;-0.0} MB, resident {resident / 1e6:+0.0;-0.0} MB, at the end {warm[^1].Managed / 1e6:0} and {warm[^1].Resident / 1e6:0} MB");
            tell($"managed memory when all is quiet: {growth / 1e6:+0.0;-0.0} MB since the start");
            if (growth > MostGrowth)
                faults.Add($"the managed memory grew by {growth / 1e6:0.0} MB");
        }
    }

    private static string[][] RunAlone(Operations operations) =>
        [.. operations.All.Select(operation => Enumerable.Range(0, Works).Select(n => Operations.Digest(operation.Run(n))).ToArray())];

    private static long MeasureManagedMemory()
    {
        // Once more for what finalizers leave.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    // Least squares.
    private static double Slope((double X, double Y)[] points)
    {
        double x = points.Average(point => point.X), y = points.Average(point => point.Y);
        return points.Sum(point => (point.X - x) * (point.Y - y)) / points.Sum(point => (point.X - x) * (point.X - x));
    }
}
