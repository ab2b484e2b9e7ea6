namespace Microsoft.ML.Leap;

/// <summary>Shows a <see cref="TrainingHistory"/>: a curve of its losses above its summary.</summary>
internal sealed class HistoryDisplay : HtmlDisplay<TrainingHistory>
{
    protected override string Draw(TrainingHistory value) => Html(value);

    public static string Html(TrainingHistory history) =>
        $"<div>{(history.Records.Count > 0 ? LossCurve.Draw(history.Records) : "")}<div>{DisplayText.Html(history.ToString())}</div></div>";
}
