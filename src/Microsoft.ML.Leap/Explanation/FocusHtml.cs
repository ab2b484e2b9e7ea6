using System.Globalization;
using System.Net;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Draws a focus report as one HTML page that loads nothing: its content security policy forbids it to.</summary>
internal static class FocusHtml
{
    public static string Page(FocusReport report)
    {
        var html = new StringBuilder();
        html.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n")
            .Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Focus</title>\n<style>\n")
            .Append(FocusPage.Style).Append("\n</style>\n</head>\n<body>\n");
        AppendControls(html, report);
        AppendText(html, report);
        html.Append("<div class=\"details\" id=\"details\" aria-live=\"polite\">Point at a token for its shares.</div>\n")
            .Append("<script type=\"application/json\" id=\"report\">").Append(Json(report)).Append("</script>\n")
            .Append("<script>\n").Append(FocusPage.Script).Append("\n</script>\n</body>\n</html>\n");
        return html.ToString();
    }

    /// <summary>The page in a frame of its own, for a notebook: neither's style or script can touch the other's.</summary>
    public static string Frame(FocusReport report) =>
        $"<iframe title=\"Focus\" sandbox=\"allow-scripts\" style=\"width:100%;height:{FrameHeight(report)}px;border:0\" srcdoc=\"" +
        WebUtility.HtmlEncode(Page(report)) + "\"></iframe>";

    // As a frame does not grow with what is in it: enough for the text in a notebook of usual width. A longer one scrolls.
    private static int FrameHeight(FocusReport report)
    {
        const int lineWidth = 700, characterWidth = 9, surpriseWidth = 20, lineHeight = 42, aroundText = 190, most = 420;
        int width = report.Tokens.Sum(token => Math.Max(surpriseWidth, characterWidth * FocusDisplay.Of(report, token).Length));
        int lines = 1 + width / lineWidth + report.Tokens.Count(token => FocusDisplay.EndsLine(report, token));
        return Math.Min(most, aroundText + lineHeight * lines);
    }

    private static void AppendControls(StringBuilder html, FocusReport report)
    {
        html.Append("<div class=\"controls\">\n<label>Layer <select id=\"layer\"><option value=\"all\">all</option>");
        for (int layer = 0; layer < report.LayerCount; layer++)
            html.Append(CultureInfo.InvariantCulture, $"<option value=\"{layer}\">{layer} (window {report.WindowSizes[layer]})</option>");
        html.Append("</select></label>\n<label>Head <select id=\"head\" disabled><option value=\"all\">all</option>");
        for (int head = 0; head < report.HeadCount; head++)
            html.Append(CultureInfo.InvariantCulture, $"<option value=\"{head}\">{head}</option>");
        html.Append("</select></label>\n<span>focus 0 <span class=\"scale\"></span> <span id=\"greatest\">")
            .Append(FocusDisplay.Greatest(report.Focus).ToString("G3", CultureInfo.InvariantCulture))
            .Append("</span></span>\n<span>below a token: its surprise in bits</span>\n</div>\n");
    }

    private static void AppendText(StringBuilder html, FocusReport report)
    {
        double[] focus = FocusDisplay.Relative(report.Focus);
        html.Append("<div class=\"text\" id=\"text\">\n");
        foreach (FocusToken token in report.Tokens)
        {
            string kind = token.IsStart ? " start" : token.IsContinuation ? " continuation" : "";
            html.Append(CultureInfo.InvariantCulture, $"<span class=\"token{kind}\" tabindex=\"0\" style=\"--f:{focus[token.Index]:0.####}\">")
                .Append("<span class=\"word\">").Append(WebUtility.HtmlEncode(FocusDisplay.Of(report, token))).Append("</span><span class=\"surprise\">");
            if (!token.IsStart)
                html.Append(CultureInfo.InvariantCulture, $"{token.Surprise:0.0}");
            html.Append("</span></span>");
            if (FocusDisplay.EndsLine(report, token))
                html.Append("<br>");
        }

        html.Append("\n</div>\n");
    }

    private static string Json(FocusReport report)
    {
        using var stream = new MemoryStream();
        FocusJson.Write(stream, report, isIndented: false);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }
}
