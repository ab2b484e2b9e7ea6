using System.Diagnostics;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap;

/// <summary>Writes training progress to a channel: the first step, one every ten seconds, evaluations and the last step.</summary>
internal sealed class ProgressLog(IChannel channel)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private readonly Stopwatch _sinceLast = new();

    public void Report(TrainingProgress progress)
    {
        bool isNotable = progress.ValidationLoss is not null || progress.Step == progress.StepCount;
        if (_sinceLast.IsRunning && _sinceLast.Elapsed < Interval && !isNotable)
            return;
        channel.Info(default, progress.ToString());
        _sinceLast.Restart();
    }
}
