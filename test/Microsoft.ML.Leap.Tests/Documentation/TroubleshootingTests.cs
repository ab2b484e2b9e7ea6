using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>The page quotes messages as they stand in the sources.</summary>
[TestClass]
public partial class TroubleshootingTests
{
    private const char Gap = '…';

    // Longer than an interpolated value is in the sources, shorter than the way to another message.
    private const int LongestGap = 100;

    [TestMethod]
    public void Messages_OfPage_StandInTheSources()
    {
        string[] sources = [.. SourceFiles().Select(path => StringSeam().Replace(File.ReadAllText(path), ""))];
        string[] messages = [.. QuotedMessages()];

        Assert.IsGreaterThan(80, messages.Length);
        string[] unknown = [.. messages.Where(message => !sources.Any(source => Holds(source, message)))];
        Assert.IsEmpty(unknown, string.Join(Environment.NewLine, unknown));
    }

    // Quoted in the first cell of a row; several where a row has several messages.
    private static IEnumerable<string> QuotedMessages() =>
        File.ReadLines(Path.Combine(RepositoryFolder.Path, "docs", "troubleshooting.md"))
            .SkipWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .SelectMany(line => Quote().Matches(line[..line.IndexOf(" | ", StringComparison.Ordinal)]))
            .Select(quote => quote.Groups[1].Value)
            .Where(message => message != "build.sh");

    private static bool Holds(string source, string message) => Regex.IsMatch(
        source, string.Join($@"[^;]{{0,{LongestGap}}}?", message.Split(Gap, StringSplitOptions.TrimEntries).Select(Regex.Escape)));

    private static IEnumerable<string> SourceFiles() => new[] { ("src", "*.cs"), ("eng", "*.sh"), ("eng", "*.props") }.SelectMany(
        place => Directory.EnumerateFiles(Path.Combine(RepositoryFolder.Path, place.Item1), place.Item2, SearchOption.AllDirectories));

    // A message goes on in the next line.
    [GeneratedRegex("""
        "\s*\+\s*\$?"
        """)]
    private static partial Regex StringSeam();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quote();
}
