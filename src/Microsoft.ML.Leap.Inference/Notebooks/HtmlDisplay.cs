using System.Globalization;
using System.Net;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Shows values of a type in a notebook, by the conventions of .NET Interactive: it is the source of the type's formatters, and
/// the only one of them.</summary>
/// <remarks>A notebook has a scheme of colours of its own, which a style sheet cannot ask for. So what is drawn takes its colours from
/// where it stands, adds none but those of <see cref="DisplayColors"/>, and has its styles inline, where they cannot touch the
/// notebook's.</remarks>
internal abstract class HtmlDisplay<T>
    where T : class
{
#pragma warning disable CA1822 // Called on an instance, by their names.
    public string MimeType => "text/html";

    public IEnumerable<object> CreateTypeFormatters() => [this];
#pragma warning restore CA1822

    public bool Format(object instance, TextWriter writer)
    {
        if (instance is not T value)
            return false;
        writer.Write(Draw(value));
        return true;
    }

    /// <summary>Draws a value as one HTML element.</summary>
    protected abstract string Draw(T value);
}

/// <summary>Draws a table of two columns: names and values.</summary>
internal static class HtmlTable
{
    private const string Cell =
        "text-align:left;vertical-align:top;padding:.15em 1.5em .15em 0;border:0;color:inherit;overflow-wrap:anywhere";

    public static string Draw(IEnumerable<(string Name, string Value)> rows)
    {
        var html = new StringBuilder("<table style=\"border-collapse:collapse;margin:.3em 0;max-width:60em\"><tbody>");
        foreach ((string name, string value) in rows)
        {
            html.Append("<tr style=\"background:transparent\"><th scope=\"row\" style=\"").Append(Cell).Append(";white-space:nowrap\">")
                .Append(DisplayText.Html(name)).Append("</th><td style=\"").Append(Cell).Append("\">")
                .Append(DisplayText.Html(value)).Append("</td></tr>");
        }

        return html.Append("</tbody></table>").ToString();
    }
}

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

/// <summary>Colours of lines and areas that have a contrast of at least 3 to 1 both to white and to the dark greys of notebooks.</summary>
internal static class DisplayColors
{
    public const string First = "#3b82f6";
    public const string Second = "#d97706";
}

/// <summary>Names the type that makes a type's formatters for notebooks. .NET Interactive looks for an attribute of this name, whatever
/// assembly it is from, so that this package needs no reference to it.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class TypeFormatterSourceAttribute(Type formatterSourceType) : Attribute
{
    public Type FormatterSourceType { get; } = formatterSourceType;
}
