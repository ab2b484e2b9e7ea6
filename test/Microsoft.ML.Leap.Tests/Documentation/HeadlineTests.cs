using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>The README's figures are those of the pages that tell how they were measured.</summary>
[TestClass]
public partial class HeadlineTests
{
    [TestMethod]
    public void Figures_OfReadme_StandOnThePageThatTheirRowNames()
    {
        string section = File.ReadAllText(Path.Combine(RepositoryFolder.Path, "README.md")).Split("\n## ")
            .Single(part => part.StartsWith("What was measured", StringComparison.Ordinal));
        string[][] rows = [.. section.Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(1).Select(line => line.Split(" | "))];

        Assert.IsGreaterThan(5, rows.Length);
        foreach (string[] row in rows)
        {
            Assert.HasCount(4, row, string.Join(" | ", row));
            string page = File.ReadAllText(Path.Combine(RepositoryFolder.Path, PagePattern().Match(row[3]).Groups[1].Value));
            foreach (string figure in row[..3].SelectMany(cell => Figure().Matches(cell)).Select(match => match.Value))
                Assert.MatchesRegex($@"(?<![\d.,]){Regex.Escape(figure)}(?![\d]|[.,]\d)", page, $"{figure} of '{row[0]}'");
        }
    }

    [GeneratedRegex(@"\d+(?:[.,]\d+)+")]
    private static partial Regex Figure();

    [GeneratedRegex(@"\]\(([^)#]+)")]
    private static partial Regex PagePattern();
}
