using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>Links between the repository's pages lead to files and headings that are there.</summary>
[TestClass]
public partial class LinkTests
{
    [TestMethod]
    public void RelativeLinks_OfAllPages_LeadSomewhere()
    {
        string[] broken = [.. Pages().SelectMany(page => Targets(page)
            .Where(target => !Exists(page, target))
            .Select(target => $"{Path.GetRelativePath(RepositoryFolder.Path, page)}: {target}"))];
        Assert.IsEmpty(broken, string.Join(Environment.NewLine, broken));
    }

    [TestMethod]
    public void Documents_AreAllReachedFromTheReadme()
    {
        HashSet<string> reached = [Path.Combine(RepositoryFolder.Path, "README.md")];
        var waiting = new Queue<string>(reached);
        while (waiting.TryDequeue(out string? page))
        {
            foreach (string linked in Targets(page).Select(target => GetFile(page, target)).Where(path => path.EndsWith(".md", StringComparison.Ordinal)))
            {
                if (File.Exists(linked) && reached.Add(linked))
                    waiting.Enqueue(linked);
            }
        }

        string[] lost = [.. Directory.EnumerateFiles(Path.Combine(RepositoryFolder.Path, "docs"), "*.md").Where(page => !reached.Contains(page))];
        Assert.IsEmpty(lost, string.Join(Environment.NewLine, lost));
    }

    [TestMethod]
    [DataRow("## What is exact", "what-is-exact")]
    [DataRow("## Microsoft.Extensions.AI", "microsoftextensionsai")]
    [DataRow("### The `zip`, and more", "the-zip-and-more")]
    public void Anchor_OfHeading_IsAsGitHubMakesIt(string heading, string anchor) => Assert.AreEqual(anchor, Anchor(heading));

    private static IEnumerable<string> Pages()
    {
        string root = RepositoryFolder.Path;
        return Directory.EnumerateFiles(root, "*.md")
            .Concat(Directory.EnumerateFiles(Path.Combine(root, "docs"), "*.md"))
            .Concat(Directory.EnumerateFiles(Path.Combine(root, "samples"), "*.md", SearchOption.AllDirectories)
                .Where(path => !path.Split(Path.DirectorySeparatorChar).Intersect(["bin", "obj"]).Any()));
    }

    private static IEnumerable<string> Targets(string page) => Link().Matches(Code().Replace(File.ReadAllText(page), ""))
        .Select(link => link.Groups[1].Value)
        .Where(target => !target.Contains("://", StringComparison.Ordinal));

    private static bool Exists(string page, string target)
    {
        string path = GetFile(page, target);
        if (!target.Contains('#', StringComparison.Ordinal))
            return File.Exists(path) || Directory.Exists(path);
        string anchor = target[(target.IndexOf('#', StringComparison.Ordinal) + 1)..];
        return File.Exists(path) && Heading().Matches(Code().Replace(File.ReadAllText(path), "")).Any(heading => Anchor(heading.Value.Trim()) == anchor);
    }

    private static string GetFile(string page, string target)
    {
        string file = target.Split('#')[0];
        return file.Length == 0 ? page : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page)!, file));
    }

    private static string Anchor(string heading) =>
        Punctuation().Replace(heading.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-');

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex("^#+ .*$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();
}
