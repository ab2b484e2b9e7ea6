namespace Microsoft.ML.Leap;

/// <summary>How pictures write a token.</summary>
internal static class FocusDisplay
{
    public const string Start = "⟨start⟩";

    /// <summary>Gives the part of the text that a token stands for, or its own text where it stands for none, with signs for characters that
    /// cannot be seen or that XML forbids.</summary>
    public static string Of(FocusReport report, FocusToken token)
    {
        if (token.IsStart)
            return Start;
        string text = token.Length > 0 ? report.Text.Substring(token.Start, token.Length) : token.Text;
        return DisplayText.Visible(text);
    }

    /// <summary>Whether a line ends with the token.</summary>
    public static bool EndsLine(FocusReport report, FocusToken token) =>
        report.Text.AsSpan(token.Start, token.Length).Contains('\n');

    /// <summary>The values relative to the greatest, the start's left out: it may be greater than all others, and is then cut to 1.</summary>
    public static double[] Relative(IReadOnlyList<float> values)
    {
        double greatest = Greatest(values);
        return [.. values.Select(value => greatest > 0 ? Math.Min(1, value / greatest) : 0)];
    }

    public static double Greatest(IReadOnlyList<float> values) => values.Count > 1 ? values.Skip(1).Max() : values[0];
}
