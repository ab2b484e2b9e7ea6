using System.Globalization;
using System.Security;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Draws a focus report as an SVG: the text on colours of focus, and below each token a bar of its surprise.</summary>
internal static class FocusSvg
{
    private const int Width = 820;
    private const int Margin = 12;
    private const double UnitWidth = 8.5;
    private const int LineHeight = 42;
    private const int WordHeight = 20;

    // Of a bar: so many pixels for a bit, and no more bits than this.
    private const double PixelsABit = 0.75;
    private const double MostBits = 20;

    private const string Style = """
        .page { fill: #ffffff; } .focus { fill: #f5a524; } .bar { fill: #7a7a86; } .mark { stroke: #0b57d0; }
        text { font: 14px ui-monospace, Consolas, Menlo, monospace; fill: #1b1b1f; white-space: pre; }
        .note { font: 11px system-ui, sans-serif; fill: #5c5c66; }
        @media (prefers-color-scheme: dark) {
        .page { fill: #16171b; } .focus { fill: #a34d00; } .bar { fill: #8c8c98; } .mark { stroke: #8ab4f8; }
        text { fill: #ececf1; } .note { fill: #a6a6b2; }
        }
        """;

    public static string Draw(FocusReport report)
    {
        var body = new StringBuilder();
        double[] focus = FocusDisplay.Relative(report.Focus);
        (double x, int y) = (Margin, Margin);
        foreach (FocusToken token in report.Tokens)
        {
            string word = FocusDisplay.Describe(report, token);
            double width = UnitWidth * word.EnumerateRunes().Sum(Units);
            if (x > Margin && x + width > Width - Margin)
                (x, y) = (Margin, y + LineHeight);
            AppendToken(body, token, word, focus[token.Index], report.Focus[token.Index], x, y, width);
            (x, y) = FocusDisplay.EndsLine(report, token) ? (Margin, y + LineHeight) : (x + width, y);
        }

        int height = y + LineHeight + 22;
        string scale = string.Create(
            CultureInfo.InvariantCulture,
            $"colour: focus, 0 to {FocusDisplay.Greatest(report.Focus):G3}; bars: surprise, {PixelsABit:0.##} pixels a bit, at most {MostBits:0} bits");
        return string.Create(CultureInfo.InvariantCulture, $"""
            <svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{height}" viewBox="0 0 {Width} {height}" role="img">
            <title>Focus</title>
            <style>{Style}</style>
            <rect class="page" width="{Width}" height="{height}"/>
            {body}<text class="note" x="{Margin}" y="{height - 8}">{scale}</text>
            </svg>

            """);
    }

    private static void AppendToken(StringBuilder body, FocusToken token, string word, double opacity, float focus, double x, int y, double width)
    {
        double surprise = token.IsStart ? 0 : token.Surprisal;
        body.Append(CultureInfo.InvariantCulture, $"<g><title>focus {focus:0.###}");
        if (!token.IsStart)
            body.Append(CultureInfo.InvariantCulture, $", surprise {surprise:0.0} bits");
        body.Append(CultureInfo.InvariantCulture, $"</title><rect class=\"focus\" opacity=\"{opacity:0.###}\" x=\"{x:0.##}\" y=\"{y}\" ")
            .Append(CultureInfo.InvariantCulture, $"width=\"{width:0.##}\" height=\"{WordHeight}\"/>")
            .Append(CultureInfo.InvariantCulture, $"<text xml:space=\"preserve\" x=\"{x:0.##}\" y=\"{y + 15}\" textLength=\"{width:0.##}\" lengthAdjust=\"spacingAndGlyphs\">")
            .Append(SecurityElement.Escape(word)).Append("</text>");
        if (token.IsContinuation)
            body.Append(CultureInfo.InvariantCulture, $"<path class=\"mark\" d=\"M{x:0.##} {y + WordHeight}h{width:0.##}\"/>");
        body.Append(CultureInfo.InvariantCulture, $"<rect class=\"bar\" x=\"{x + 1:0.##}\" y=\"{y + WordHeight + 2}\" width=\"{Math.Max(1, width - 2):0.##}\" ")
            .Append(CultureInfo.InvariantCulture, $"height=\"{Math.Min(double.IsNaN(surprise) ? MostBits : surprise, MostBits) * PixelsABit:0.##}\"/></g>\n");
    }

    // East Asian characters and emoji are about twice as wide.
    private static int Units(Rune rune) => rune.Value is (>= 0x1100 and <= 0x115F) or (>= 0x2E80 and <= 0xA4CF) or (>= 0xAC00 and <= 0xD7A3)
        or (>= 0xF900 and <= 0xFAFF) or (>= 0xFE30 and <= 0xFE6F) or (>= 0xFF00 and <= 0xFF60) or >= 0x1F300 ? 2 : 1;
}

/// <summary>How pictures write a token.</summary>
internal static class FocusDisplay
{
    public const string Start = "⟨start⟩";

    // A token that holds only the later bytes of a character, which the token that begins it shows whole.
    private const string PartOfCharacter = "·";

    /// <summary>Gives the part of the text that a token stands for, or its own text where it stands for none, with signs for characters that
    /// cannot be seen or that XML forbids.</summary>
    public static string Describe(FocusReport report, FocusToken token)
    {
        if (token.IsStart)
            return Start;
        if (token.Length > 0)
            return DisplayText.Visible(report.Text.Substring(token.Start, token.Length));
        return token.Text.StartsWith("<0x", StringComparison.Ordinal) ? PartOfCharacter : DisplayText.Visible(token.Text);
    }

    /// <summary>Whether a line ends with the token.</summary>
    public static bool EndsLine(FocusReport report, FocusToken token) =>
        report.Text.AsSpan(token.Start, token.Length).Contains('\n');

    /// <summary>The values relative to the greatest, the start's left out: it may be greater than all others, and is then cut to 1.</summary>
    public static double[] Relative(IReadOnlyList<float> values)
    {
        double greatest = Greatest(values);
        return [.. values.Select(value => value > 0 && greatest > 0 ? Math.Min(1, value / greatest) : 0)];
    }

    public static double Greatest(IReadOnlyList<float> values) => values.Count > 1 ? values.Skip(1).Max() : values[0];
}
