using System.Net;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public partial class FocusPictureTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static readonly Lazy<FocusReport> LazyReport =
        new(() => HostileModel.Transformer.Explain("a</script>", "\n<b>&\"'\u0001\ufffe☕"));

    private static FocusReport Report => LazyReport.Value;

    [TestMethod]
    public void ToHtml_HostileTokens_AreEscapedAndNothingIsLoaded()
    {
        string html = Report.ToHtml();

        // The data and the program, and no third script that a token opened or closed.
        Assert.HasCount(2, Regex.Matches(html, "<script"));
        Assert.HasCount(2, Regex.Matches(html, "</script"));
        Assert.IsFalse(html.Contains("<b>", StringComparison.Ordinal));
        Assert.IsEmpty(Regex.Matches(html, "(src|href)=|url\\(|@import|https?:"));

        string[] words = [.. Word().Matches(html).Select(match => WebUtility.HtmlDecode(match.Groups[1].Value))];
        CollectionAssert.AreEqual(
            new[] { "⟨start⟩", "a", "</script>", "↵", "<b>", "&", "\"", "'", "␁", "\ufffd", "·", "·", "☕", "·", "·" }, words);
    }

    [TestMethod]
    public void ToHtml_Token_HasItsFocusAndSurprise()
    {
        string html = Report.ToHtml();
        float greatest = Report.Focus.Skip(1).Max();
        MatchCollection tokens = Token().Matches(html);
        Assert.HasCount(Report.Tokens.Count, tokens);
        for (int i = 1; i < tokens.Count; i++)
        {
            Assert.AreEqual(Report.Focus[i] / greatest, double.Parse(tokens[i].Groups[2].Value), 1e-4);
            Assert.AreEqual(Math.Min(16, Report.Tokens[i].Surprisal), double.Parse(tokens[i].Groups[3].Value), 0.051);
            Assert.AreEqual(Report.Tokens[i].IsContinuation, tokens[i].Groups[1].Value.Contains("continuation", StringComparison.Ordinal));
        }
    }

    [TestMethod]
    public void ToHtml_Layer_NamesItsWindow_WhereTheTextIsLonger()
    {
        string text = Report.ToHtml();
        for (int layer = 0; layer < Report.LayerCount; layer++)
        {
            int window = Report.WindowSizes[layer];
            string expected = window < Report.Tokens.Count ? $">{layer} (window {window})</option>" : $">{layer}</option>";
            StringAssert.Contains(text, $"<option value=\"{layer}\"" + expected);
        }
    }

    [TestMethod]
    public void ToSvg_IsXmlWithEachTokenAsText()
    {
        XElement svg = XElement.Parse(Report.ToSvg(), LoadOptions.PreserveWhitespace);
        XElement[] tokens = [.. svg.Elements(Svg + "g")];
        Assert.HasCount(Report.Tokens.Count, tokens);
        Assert.AreEqual("</script>", tokens[2].Element(Svg + "text")!.Value);
        Assert.AreEqual("<b>", tokens[4].Element(Svg + "text")!.Value);
        Assert.IsEmpty(svg.Descendants(Svg + "script"));

        // A line break in the text starts a line.
        Assert.AreEqual(tokens[3].Element(Svg + "text")!.Attribute("y")!.Value, tokens[1].Element(Svg + "text")!.Attribute("y")!.Value);
        Assert.AreNotEqual(tokens[3].Element(Svg + "text")!.Attribute("y")!.Value, tokens[4].Element(Svg + "text")!.Attribute("y")!.Value);
    }

    [TestMethod]
    public void SaveHtmlAndSvg_WriteTheFiles()
    {
        using var folder = new TemporaryFolder();
        string html = Path.Combine(folder.Path, "a.html");
        string svg = Path.Combine(folder.Path, "a.svg");
        Report.SaveHtml(html);
        Report.SaveSvg(svg);
        Assert.AreEqual(Report.ToHtml(), File.ReadAllText(html));
        Assert.AreEqual(Report.ToSvg(), File.ReadAllText(svg));
        Assert.ThrowsExactly<ArgumentException>(() => Report.SaveHtml(""));
    }

    [TestMethod]
    public void Notebook_Value_IsShownAsTheFramedPage()
    {
        Assert.AreEqual("text/html", Formatter.GetPreferredMimeTypesFor(typeof(FocusReport)).FirstOrDefault());
        string shown = Report.ToDisplayString("text/html");
        Match frame = Regex.Match(shown, "^<iframe [^>]*sandbox=\"allow-scripts\"[^>]* srcdoc=\"([^\"]*)\"></iframe>$");
        Assert.IsTrue(frame.Success, shown[..100]);
        Assert.AreEqual(Report.ToHtml(), WebUtility.HtmlDecode(frame.Groups[1].Value));
    }

    [TestMethod]
    public void ToString_Report_NamesTheMostFocused()
    {
        FocusToken most = Report.Tokens.Skip(1).MaxBy(token => Report.Focus[token.Index])!;
        StringAssert.StartsWith(Report.ToString(), $"focus of 15 tokens in 2 layers of 2 heads; most on '{FocusDisplay.Describe(Report, most)}' {Report.Focus[most.Index]:0.00}, ");
        Assert.AreEqual("focus of 1 tokens in 2 layers of 2 heads", HostileModel.Transformer.Explain("").ToString());
    }

    [GeneratedRegex("<span class=\"token[^>]*>([^<]*)</span>")]
    private static partial Regex Word();

    [GeneratedRegex("<span class=\"token([^\"]*)\" tabindex=\"0\" style=\"--f:([0-9.]+);--s:([0-9.]+)px\">[^<]*</span>")]
    private static partial Regex Token();
}
