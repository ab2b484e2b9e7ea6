namespace Microsoft.ML.Leap;

/// <summary>Shows a <see cref="FocusReport"/>: its page in a frame.</summary>
internal sealed class FocusReportDisplay : HtmlDisplay<FocusReport>
{
    protected override string Draw(FocusReport value) => FocusHtml.Frame(value);
}
