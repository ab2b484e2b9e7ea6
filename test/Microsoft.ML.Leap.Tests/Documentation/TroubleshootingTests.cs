using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>The page quotes messages as they stand in the sources.</summary>
[TestClass]
public partial class TroubleshootingTests
{
    private const char Gap = '…';

    // Longer than an interpolated value is in the sources, shorter than the way to another message.
    private const int LongestGap = 100;

    // The page explains all of these together.
    private static readonly string[] Ranges = [" must be at ", " must be over ", " must be from ", " must be one of ", "… must be …."];

    // What the package's public surface cannot bring about.
    private static readonly string[] Internal =
    [
        "The text has ended.", "Expected a contiguous", "Expected ids of shape", "A matrix of", " sequences, but ", " has no tokens.",
        "is of a network of another shape.", "A network of this shape has", "of … values is missing.", " must have … values, but has ",
        "The type holds no floating-point numbers.", "The type is neither I16 nor I32.", "The type is not I16.", "bytes before the start of the zip.",
        "Expected the name of a file", "The tensors of a stream can be read only once.", "The destination of tensor",
        "A safetensors file holds tensors of", "A tensor cannot be named", "Two tensors are named", "The settings are null.",
        "A search for special literals found none", "computes no packed documents.", "Packed documents are for the fused",
        "There is no such number in the array.",
    ];

    [TestMethod]
    public void Messages_OfPage_StandInTheSources()
    {
        string[] sources = [.. SourceFiles().Select(path => StringSeam().Replace(File.ReadAllText(path), ""))];
        string[] messages = [.. QuotedMessages()];

        Assert.IsGreaterThan(80, messages.Length);
        string[] unknown = [.. messages.Where(message => !sources.Any(source => Holds(source, message)))];
        Assert.IsEmpty(unknown, string.Join(Environment.NewLine, unknown));
    }

    [TestMethod]
    public void Exceptions_OfSources_AreQuotedByThePage()
    {
        string[] known = [.. QuotedMessages(), .. Ranges, .. Internal];

        // The tool's own messages stand in the terminal beside the command that they speak of, and say what to do.
        string[] thrown = [.. SourceFiles()
            .Where(path => path.EndsWith(".cs", StringComparison.Ordinal) && !path.Contains("Leap.Tool", StringComparison.Ordinal)).SelectMany(ThrownMessages).Distinct()];

        Assert.IsGreaterThan(100, thrown.Length);
        string[] unknown = [.. thrown.Where(message => !known.Any(quote => Holds(message, quote)))];
        Assert.IsEmpty(unknown, string.Join(Environment.NewLine, unknown));
    }

    private static IEnumerable<string> ThrownMessages(string path) =>
        CSharpSyntaxTree.ParseText(File.ReadAllText(path)).GetRoot().DescendantNodes()
            .OfType<ObjectCreationExpressionSyntax>()
            .Where(creation => creation.Type.ToString().EndsWith("Exception", StringComparison.Ordinal) && creation.ArgumentList is not null)
            .SelectMany(creation => creation.ArgumentList!.Arguments)
            .Select(argument => Text(argument.Expression))
            .Where(text => Words().IsMatch(text));

    // What is computed is a gap.
    private static string Text(ExpressionSyntax expression) => expression switch
    {
        BinaryExpressionSyntax { RawKind: (int)SyntaxKind.AddExpression } sum => Text(sum.Left) + Text(sum.Right),
        LiteralExpressionSyntax literal => literal.Token.ValueText,
        InterpolatedStringExpressionSyntax text => string.Concat(text.Contents.Select(
            part => part is InterpolatedStringTextSyntax fixedPart ? fixedPart.TextToken.ValueText : Gap.ToString())),
        _ => Gap.ToString(),
    };

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

    [GeneratedRegex("""\p{L}+ \p{L}+""")]
    private static partial Regex Words();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quote();
}
