using System.Globalization;
using System.Net;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Draws a focus report as one HTML page that loads nothing: its content security policy forbids it to.</summary>
internal static class FocusHtml
{
    // A longer bar would reach the next line.
    private const double MostBits = 16;

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
        const int lineWidth = 700, characterWidth = 9, lineHeight = 42, aroundText = 190, most = 420;
        int width = report.Tokens.Sum(token => characterWidth * FocusDisplay.Describe(report, token).Length);
        int lines = 1 + width / lineWidth + report.Tokens.Count(token => FocusDisplay.EndsLine(report, token));
        return Math.Min(most, aroundText + lineHeight * lines);
    }

    private static void AppendControls(StringBuilder html, FocusReport report)
    {
        html.Append("<div class=\"controls\">\n<label>Layer <select id=\"layer\"><option value=\"all\">all</option>");
        for (int layer = 0; layer < report.LayerCount; layer++)
        {
            // A window that takes the whole text tells nothing: that of forget gates always does.
            string window = report.WindowSizes[layer] < report.Tokens.Count ? $" (window {report.WindowSizes[layer]})" : "";
            html.Append(CultureInfo.InvariantCulture, $"<option value=\"{layer}\">{layer}{window}</option>");
        }

        html.Append("</select></label>\n<label>Head <select id=\"head\" disabled><option value=\"all\">all</option>");
        for (int head = 0; head < report.HeadCount; head++)
            html.Append(CultureInfo.InvariantCulture, $"<option value=\"{head}\">{head}</option>");
        html.Append("</select></label>\n<span>focus 0 <span class=\"scale\"></span> <span id=\"greatest\">")
            .Append(FocusDisplay.Greatest(report.Focus).ToString("G3", CultureInfo.InvariantCulture))
            .Append(CultureInfo.InvariantCulture, $"</span></span>\n<span>bar below a token: its surprise, a pixel per bit, at most {MostBits:0}</span>\n</div>\n");
    }

    private static void AppendText(StringBuilder html, FocusReport report)
    {
        double[] focus = FocusDisplay.Relative(report.Focus);
        // The text's own direction: Hebrew and Arabic read from right to left.
        html.Append("<div class=\"text\" id=\"text\" dir=\"auto\">");
        foreach (FocusToken token in report.Tokens)
        {
            string kind = token.IsStart ? " start" : token.IsContinuation ? " continuation" : "";
            double surprise = token.IsStart ? 0 : Math.Min(token.Surprisal, MostBits);
            html.Append(CultureInfo.InvariantCulture, $"<span class=\"token{kind}\" tabindex=\"0\" style=\"--f:{focus[token.Index]:0.####};--s:{surprise:0.#}px\">")
                .Append(WebUtility.HtmlEncode(FocusDisplay.Describe(report, token))).Append("</span>");
            if (FocusDisplay.EndsLine(report, token))
                html.Append("<br>");
        }

        html.Append("</div>\n");
    }

    private static string Json(FocusReport report)
    {
        using var stream = new MemoryStream();
        FocusJson.Write(stream, report, isIndented: false);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }
}

/// <summary>The style and the script of <see cref="FocusHtml"/>.</summary>
internal static class FocusPage
{
    public const string Style = """
        :root { color-scheme: light dark; --page: #ffffff; --ink: #1b1b1f; --faint: #5c5c66; --line: #c9c9d2; --focus: #f5a524; --mark: #0b57d0; --bar: #7a7a86; }
        @media (prefers-color-scheme: dark) {
          :root { --page: #16171b; --ink: #ececf1; --faint: #a6a6b2; --line: #44444f; --focus: #a34d00; --mark: #8ab4f8; --bar: #8c8c98; }
        }
        body { margin: 0; padding: 1rem; background: var(--page); color: var(--ink); font: 15px/1.4 system-ui, sans-serif; }
        .controls { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; }
        select { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 4px; padding: .1rem .3rem; }
        .scale { display: inline-block; width: 6rem; height: .8rem; border: 1px solid var(--line); vertical-align: middle;
          background: linear-gradient(to right, var(--page), var(--focus)); }
        .text { margin: 1rem 0; font: 15px/2.7 ui-monospace, Consolas, Menlo, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
        .token { outline-offset: -1px; border-bottom: var(--s) solid var(--bar); background-clip: padding-box;
          background-color: color-mix(in srgb, var(--focus) calc(var(--f) * 100%), transparent); }
        .start { color: var(--faint); }
        .continuation { text-decoration: underline 2px var(--mark); text-underline-offset: 3px; }
        .token.chosen { outline: 2px solid var(--mark); }
        .details { min-height: 3.2em; border-top: 1px solid var(--line); padding-top: .6rem; color: var(--faint); }
        """;

    // Every text reaches the page by textContent, never as markup.
    public const string Script = """
        (() => {
          const report = JSON.parse(document.getElementById('report').textContent);
          const tokens = [...document.querySelectorAll('.token')];
          const words = tokens.map((token, i) => token.classList.contains('start') || report.tokens[i].length > 0 ? token.textContent : report.tokens[i].text);
          const layer = document.getElementById('layer');
          const head = document.getElementById('head');
          const details = document.getElementById('details');
          const hint = details.textContent;

          const chosenLayers = () => layer.value === 'all' ? report.layers : [report.layers[+layer.value]];
          const chosenHeads = l => layer.value === 'all' || head.value === 'all' ? l.heads : [l.heads[+head.value]];
          const focus = () => layer.value === 'all' ? report.focus
            : head.value === 'all' ? report.layers[+layer.value].focus
            : report.layers[+layer.value].heads[+head.value].focus;

          const paint = (values, greatest) => tokens.forEach((token, i) =>
            token.style.setProperty('--f', greatest > 0 ? Math.min(1, values[i] / greatest).toFixed(4) : 0));

          const show = () => {
            const values = focus();
            const greatest = Math.max(...(values.length > 1 ? values.slice(1) : values));
            head.disabled = layer.value === 'all';
            document.getElementById('greatest').textContent = greatest.toPrecision(3);
            tokens.forEach(token => token.classList.remove('chosen'));
            details.textContent = hint;
            paint(values, greatest);
          };

          // A row of the causal softmax, the mean over the chosen heads.
          const shares = i => {
            const row = new Array(tokens.length).fill(0);
            let gates = 0, count = 0;
            for (const l of chosenLayers()) {
              for (const h of chosenHeads(l)) {
                const first = Math.max(0, i - l.window + 1);
                const parts = new Array(i + 1).fill(0);
                let sum = 0, kept = 1;
                for (let j = i; j >= first; j--) {
                  parts[j] = kept * h.weights[j];
                  sum += parts[j];
                  kept *= h.kept[j];
                }
                for (let j = first; j <= i; j++) row[j] += parts[j] / sum;
                gates += h.gates[i];
                count++;
              }
            }
            return { row: row.map(share => share / count), gate: gates / count };
          };

          const choose = i => {
            const { row, gate } = shares(i);
            const surprise = report.tokens[i].surprise;
            const most = row.map((share, j) => [share, j]).filter(([share]) => share > 0).sort((a, b) => b[0] - a[0]).slice(0, 6);
            tokens.forEach((token, j) => token.classList.toggle('chosen', j === i));
            details.textContent = `${words[i]}: focus ${(focus()[i] ?? NaN).toPrecision(3)}`
              + (surprise === null ? '' : `, surprise ${surprise.toFixed(1)} bits`)
              + `, gate ${gate.toFixed(2)}. Its window's shares: `
              + most.map(([share, j]) => `${words[j].trim() || words[j]} ${(100 * share).toFixed(1)} %`).join(', ');
            paint(row, Math.max(...row));
          };

          tokens.forEach((token, i) => {
            token.addEventListener('mouseenter', () => choose(i));
            token.addEventListener('focus', () => choose(i));
            token.addEventListener('mouseleave', show);
            token.addEventListener('blur', show);
          });
          layer.addEventListener('change', show);
          head.addEventListener('change', show);
          show();
        })();
        """;
}

/// <summary>Shows a <see cref="FocusReport"/>: its page in a frame.</summary>
internal sealed class FocusReportDisplay : HtmlDisplay<FocusReport>
{
    protected override string Draw(FocusReport value) => FocusHtml.Frame(value);
}
