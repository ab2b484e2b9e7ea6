using System.Globalization;
using System.Net;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>How values are written for people.</summary>
internal static class DisplayText
{
    private const string Undefined = "—";

    /// <summary>Writes a number; NaN is a dash.</summary>
    public static string Number(double value, string format) =>
        double.IsNaN(value) ? Undefined
        : double.IsInfinity(value) ? (value > 0 ? "∞" : "-∞")
        : value.ToString(format, CultureInfo.InvariantCulture);

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Writes hours, of which there may be more than 24, minutes and seconds.</summary>
    public static string Duration(TimeSpan time) =>
        string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(time.TotalHours):00}:{time:mm\\:ss}");

    /// <summary>Puts signs for characters that cannot be seen or that XML forbids.</summary>
    public static string Visible(string text) => string.Concat(text.EnumerateRunes().Select(rune => Visible(rune)));

    /// <summary>Encodes a text for HTML, with <see cref="Visible(string)"/>'s signs.</summary>
    public static string Html(string text) => WebUtility.HtmlEncode(Visible(text));

    private static string Visible(Rune rune) => rune.Value switch
    {
        '\n' => "↵",
        '\t' => "⇥",
        < 0x20 => new Rune(0x2400 + rune.Value).ToString(),
        0x7F => "␡",
        0xFFFE or 0xFFFF => "\uFFFD",
        _ => rune.ToString(),
    };
}
