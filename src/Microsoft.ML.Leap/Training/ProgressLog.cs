using System.Diagnostics;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap;

/// <summary>Writes training progress to a channel: the first step, one every ten seconds, and the last of each epoch.</summary>
internal sealed class ProgressLog(IChannel channel)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private readonly Stopwatch _sinceLast = new();

    public void Report(TrainingProgress progress)
    {
        bool endsEpoch = progress.Step % (progress.StepCount / progress.EpochCount) == 0;
        if (_sinceLast.IsRunning && _sinceLast.Elapsed < Interval && !endsEpoch)
            return;
        channel.Info(default, progress.ToString());
        _sinceLast.Restart();
    }
}
