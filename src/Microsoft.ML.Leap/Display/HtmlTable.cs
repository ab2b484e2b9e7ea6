using System.Text;

namespace Microsoft.ML.Leap;

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
