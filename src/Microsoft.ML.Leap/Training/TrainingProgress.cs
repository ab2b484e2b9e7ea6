using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap;

/// <summary>Where a training run stands after a step. Immutable, and therefore thread-safe.</summary>
[TypeFormatterSource(typeof(ProgressDisplay))]
public sealed record TrainingProgress
{
    /// <summary>Gets the epoch under way, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>Gets the number of epochs in all.</summary>
    public required int EpochCount { get; init; }

    /// <summary>Gets the optimizer steps done, from 1.</summary>
    public required long Step { get; init; }

    /// <summary>Gets the optimizer steps in all.</summary>
    public required long StepCount { get; init; }

    /// <summary>Gets the steps so far that were skipped, because their loss or gradient is not finite. They count as done.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Gets the training loss of this step in nats per token, with dropout.</summary>
    public required double Loss { get; init; }

    /// <summary>Gets the validation loss in nats per token, over all validation tokens and without dropout; present where the model was
    /// evaluated after this step.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Gets the learning rate of this step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Gets the Euclidean norm of all gradients before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Gets the training tokens processed per second, averaged from the start and without evaluations.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Gets the time since training began.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Gets the time that the remaining steps will take at the pace so far, or what is left of the time budget when that is
    /// less.</summary>
    public required TimeSpan Remaining { get; init; }

    /// <inheritdoc/>
    public override string ToString()
    {
        string validation = ValidationLoss is double loss ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:0.0000}") : "";
        string skipped = SkippedSteps > 0 ? $" ({SkippedSteps} skipped)" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"epoch {Epoch}/{EpochCount}, step {Step}/{StepCount}{skipped}, loss {Loss:0.0000}{validation}, learning rate {LearningRate:0.00E+0}, " +
            $"gradient norm {GradientNorm:0.000}, {TokensPerSecond:0} tokens/s, elapsed {DisplayText.Duration(Elapsed)}, remaining {DisplayText.Duration(Remaining)}");
    }
}

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

/// <summary>Says how long a run will take, from the speed of its first steps.</summary>
internal sealed class TimeForecast(TrainingOptions options, long stepCount, TokenBlocks training)
{
    // Steps that compile code and fill caches, and as many that are timed after them: few of a short run.
    private readonly int _someSteps = (int)Math.Clamp(stepCount / 40, 3, 25);
    private readonly List<TimeSpan> _times = [];
    private int _seen;

    /// <summary>Takes note of a step; after the last of the first ones it tells.</summary>
    /// <param name="step">The steps done.</param>
    /// <param name="time">What the last one took.</param>
    /// <param name="inform">What is told.</param>
    public void Observe(long step, TimeSpan time, Action<string>? inform)
    {
        if (++_seen <= _someSteps || _times.Count == _someSteps)
            return;
        _times.Add(time);
        if (_times.Count < _someSteps || step == stepCount)
            return;

        double seconds = _times.Average(timed => timed.TotalSeconds);
        double tokens = (double)training.TargetCount / training.BatchCount(options.BatchSize!.Value) * options.GradientAccumulation;
        double left = (stepCount - step) * seconds;
        double budget = options.TimeBudget?.TotalSeconds ?? double.PositiveInfinity;
        string limit = left > budget ? $", of which TimeBudget allows {DisplayText.Duration(options.TimeBudget!.Value)}" : "";
        inform?.Invoke(string.Create(
            CultureInfo.InvariantCulture,
            $"The training will take about {DisplayText.Duration(TimeSpan.FromSeconds(Math.Min(left, TimeSpan.MaxValue.TotalSeconds / 2)))}: " +
            $"{stepCount:N0} steps of about {tokens:N0} tokens, at {tokens / seconds:N0} tokens/s, without evaluations{limit}."));
    }
}

/// <summary>Shows <see cref="TrainingProgress"/>: a bar of the steps done, and the figures of the step.</summary>
internal sealed class ProgressDisplay : HtmlDisplay<TrainingProgress>
{
    private const string BarStyle = "height:.7em;border:1px solid currentColor;border-radius:.4em;overflow:hidden;margin:.3em 0";

    protected override string Draw(TrainingProgress value)
    {
        double percent = value.StepCount > 0 ? Math.Clamp(100.0 * value.Step / value.StepCount, 0, 100) : 0;
        string done = DisplayText.Number(Math.Floor(percent), "0");
        return $"""
            <div style="max-width:44em">
            <div style="display:flex;justify-content:space-between;gap:1em"><span>{Position(value)}</span><span>{done} %</span></div>
            <div role="progressbar" aria-label="Training" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{done}" style="{BarStyle}">
            <div style="width:{DisplayText.Number(percent, "0.##")}%;height:100%;background:{DisplayColors.First}"></div>
            </div>
            <div>{Losses(value)}</div>
            <div>{Pace(value)}</div>
            </div>
            """;
    }

    private static string Position(TrainingProgress value)
    {
        string skipped = value.SkippedSteps > 0 ? $" ({DisplayText.Count(value.SkippedSteps)} skipped)" : "";
        return $"epoch {value.Epoch} of {value.EpochCount}, " +
            $"step {DisplayText.Count(value.Step)} of {DisplayText.Count(value.StepCount)}{skipped}";
    }

    private static string Losses(TrainingProgress value)
    {
        string validation = value.ValidationLoss is double loss ? $", validation loss {DisplayText.Number(loss, "0.0000")}" : "";
        string rate = DisplayText.Number(value.LearningRate, "0.00E+0");
        return $"loss {DisplayText.Number(value.Loss, "0.0000")} nats per token{validation}, learning rate {rate}";
    }

    private static string Pace(TrainingProgress value) =>
        $"gradient norm {DisplayText.Number(value.GradientNorm, "0.000")}, {DisplayText.Number(value.TokensPerSecond, "N0")} tokens/s, " +
        $"elapsed {DisplayText.Duration(value.Elapsed)}, remaining {DisplayText.Duration(value.Remaining)}";
}
