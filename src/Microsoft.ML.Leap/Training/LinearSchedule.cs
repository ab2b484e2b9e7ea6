namespace Microsoft.ML.Leap;

/// <summary>A learning rate that falls in a straight line from its start to zero over the run.</summary>
internal sealed class LinearSchedule(double start, long stepCount)
{
    /// <summary>The rate of a step, counted from 0; the step after the last would have zero.</summary>
    public double this[long step] => start * (1 - (double)step / stepCount);
}
