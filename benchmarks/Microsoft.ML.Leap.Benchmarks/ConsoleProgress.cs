using System.Diagnostics;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Prints a line of progress every ten seconds, and at each evaluation.</summary>
internal sealed class ConsoleProgress
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private readonly Stopwatch _sinceLast = Stopwatch.StartNew();

    public void Report(TrainingProgress progress)
    {
        if (_sinceLast.Elapsed < Interval && progress.ValidationLoss is null)
            return;
        Console.WriteLine(progress);
        _sinceLast.Restart();
    }
}
