using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Values as a notebook of .NET Interactive shows them.</summary>
internal static class Shown
{
    public static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    /// <summary>The HTML of a value, which must be well formed, load nothing, run nothing, and style nothing but itself.</summary>
    public static XElement Html(object value)
    {
        string html = value.ToDisplayString("text/html");
        Assert.IsFalse(Regex.IsMatch(html.Replace(Svg.NamespaceName, ""), "https?:|url\\(|@import|(src|href)=|on[a-z]+="), html);
        XElement element = XElement.Parse(html, LoadOptions.PreserveWhitespace);
        string[] foreign = ["script", "style", "link", "img", "iframe"];
        Assert.IsFalse(element.DescendantsAndSelf().Any(child => foreign.Contains(child.Name.LocalName)), html);
        return element;
    }

    /// <summary>The values of all tables by their names.</summary>
    public static Dictionary<string, string> Rows(XElement element) =>
        element.Descendants("tr").ToDictionary(row => row.Element("th")!.Value, row => row.Element("td")!.Value);
}
