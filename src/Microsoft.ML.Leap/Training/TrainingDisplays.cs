namespace Microsoft.ML.Leap;

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
        return $"loss {DisplayText.Number(value.Loss, "0.0000")} nats a token{validation}, learning rate {rate}";
    }

    private static string Pace(TrainingProgress value) =>
        $"gradient norm {DisplayText.Number(value.GradientNorm, "0.000")}, {DisplayText.Number(value.TokensPerSecond, "N0")} tokens/s, " +
        $"elapsed {DisplayText.Duration(value.Elapsed)}, remaining {DisplayText.Duration(value.Remaining)}";
}

/// <summary>Shows a <see cref="TrainingHistory"/>: a curve of its losses above its summary.</summary>
internal sealed class HistoryDisplay : HtmlDisplay<TrainingHistory>
{
    protected override string Draw(TrainingHistory value) => Html(value);

    public static string Html(TrainingHistory history) =>
        $"<div>{(history.Records.Count > 0 ? LossCurve.Draw(history.Records) : "")}<div>{DisplayText.Html(history.ToString())}</div></div>";
}
