using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>Shows <see cref="TrainingProgress"/>: a bar of the steps done, and the figures of the step.</summary>
internal sealed class ProgressDisplay : HtmlDisplay<TrainingProgress>
{
    protected override string Draw(TrainingProgress value)
    {
        double percent = value.StepCount > 0 ? Math.Clamp(100.0 * value.Step / value.StepCount, 0, 100) : 0;
        string skipped = value.SkippedSteps > 0 ? $" ({DisplayText.Count(value.SkippedSteps)} skipped)" : "";
        string validation = value.ValidationLoss is double loss ? $", validation loss {DisplayText.Number(loss, "0.0000")}" : "";
        return string.Create(CultureInfo.InvariantCulture, $"""
            <div style="max-width:44em">
            <div style="display:flex;justify-content:space-between;gap:1em"><span>epoch {value.Epoch} of {value.EpochCount}, step {DisplayText.Count(value.Step)} of {DisplayText.Count(value.StepCount)}{skipped}</span><span>{Math.Floor(percent)} %</span></div>
            <div role="progressbar" aria-label="Training" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{Math.Floor(percent)}" style="height:.7em;border:1px solid currentColor;border-radius:.4em;overflow:hidden;margin:.3em 0"><div style="width:{percent:0.##}%;height:100%;background:{DisplayColors.First}"></div></div>
            <div>loss {DisplayText.Number(value.Loss, "0.0000")} nats a token{validation}, learning rate {DisplayText.Number(value.LearningRate, "0.00E+0")}</div>
            <div>gradient norm {DisplayText.Number(value.GradientNorm, "0.000")}, {DisplayText.Number(value.TokensPerSecond, "N0")} tokens/s, elapsed {DisplayText.Duration(value.Elapsed)}, remaining {DisplayText.Duration(value.Remaining)}</div>
            </div>
            """);
    }
}
