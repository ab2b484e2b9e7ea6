using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>The sources' folders use each other as the page on the architecture says.</summary>
[TestClass]
public partial class ArchitectureTests
{
    private const string Root = "(root)";

    private static readonly string Sources = Path.Combine(RepositoryFolder.Path, "src", "Microsoft.ML.Leap");

    private static readonly string Page = File.ReadAllText(Path.Combine(RepositoryFolder.Path, "docs", "architecture.md"));

    private static readonly Lazy<CSharpCompilation> Compilation = new(Compile);

    [TestMethod]
    public void Folders_OfSources_UseWhatThePageSays()
    {
        CSharpCompilation compilation = Compilation.Value;
        string[] found = [.. compilation.SyntaxTrees
            .SelectMany(tree => Uses(tree, compilation.GetSemanticModel(tree)))
            .Distinct().Order(StringComparer.Ordinal)];
        string[] written = [.. FolderRow().Matches(FolderSection())
            .SelectMany(row => Quote().Matches(row.Groups[2].Value).Select(user => $"{row.Groups[1].Value} uses {user.Groups[1].Value}"))
            .Order(StringComparer.Ordinal)];

        CollectionAssert.AreEqual(
            found, written,
            $"not in docs/architecture.md: {string.Join(", ", found.Except(written))}; not in the sources: {string.Join(", ", written.Except(found))}");
    }

    [TestMethod]
    public void Internals_OfMlNet_AreUsedInPersistenceAlone()
    {
        CSharpCompilation compilation = Compilation.Value;
        string[] users = [.. compilation.SyntaxTrees
            .Where(tree => Symbols(tree, compilation.GetSemanticModel(tree)).Any(IsClosedType))
            .Select(tree => Folder(tree.FilePath)).Distinct()];
        CollectionAssert.AreEqual(new[] { "Persistence" }, users);
    }

    [TestMethod]
    public void Types_ThatThePageNames_StandInTheSources()
    {
        string[] sources = [.. new[] { "src", "test" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(RepositoryFolder.Path, folder), "*.cs", SearchOption.AllDirectories))
            .Select(File.ReadAllText)];
        string[] names = [.. TypeName().Matches(Page.Replace(FolderSection(), "", StringComparison.Ordinal)).Select(name => name.Groups[1].Value).Distinct()];

        Assert.IsGreaterThan(50, names.Length);
        string[] unknown = [.. names.Where(name => !sources.Any(source => Regex.IsMatch(source, $@"\b{name}\b")))];
        Assert.IsEmpty(unknown, string.Join(", ", unknown));
    }

    private static string FolderSection() => Page.Split("\n## ").Single(section => section.StartsWith("Folders of the package", StringComparison.Ordinal));

    // Types alone: of what is closed in an open type the compiler here sees nothing.
    private static bool IsClosedType(ISymbol symbol) =>
        symbol is INamedTypeSymbol { DeclaredAccessibility: Accessibility.Internal } type && type.ContainingAssembly?.Name == "Microsoft.ML.Core";

    private static CSharpCompilation Compile()
    {
        string references = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        IEnumerable<SyntaxTree> trees = Directory.EnumerateFiles(Sources, "*.cs", SearchOption.AllDirectories)
            .Where(path => Folder(path) is not ("bin" or "obj"))
            .Select(path => CSharpSyntaxTree.ParseText(File.ReadAllText(path), path: path))
            .Append(CSharpSyntaxTree.ParseText(
                "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using System.Threading;"));
        return CSharpCompilation.Create(
            "Sources",
            trees,
            references.Split(Path.PathSeparator)
                .Where(path => Path.GetFileName(path) != "Microsoft.ML.Leap.dll")
                .Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(
                OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, metadataImportOptions: MetadataImportOptions.All));
    }

    private static IEnumerable<string> Uses(SyntaxTree tree, SemanticModel model) =>
        from symbol in Symbols(tree, model)
        let type = symbol as ITypeSymbol ?? symbol.ContainingType
        from declaration in type?.DeclaringSyntaxReferences ?? []
        let used = Folder(declaration.SyntaxTree.FilePath)
        let user = Folder(tree.FilePath)
        where used != user
        select $"{user} uses {used}";

    private static IEnumerable<ISymbol> Symbols(SyntaxTree tree, SemanticModel model) =>
        from name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>()
        let info = model.GetSymbolInfo(name)
        let symbol = info.Symbol ?? info.CandidateSymbols.FirstOrDefault()
        where symbol is not null
        select symbol;

    private static string Folder(string path)
    {
        string[] parts = Path.GetRelativePath(Sources, path).Split(Path.DirectorySeparatorChar);
        return parts.Length == 1 ? Root : parts[0];
    }

    [GeneratedRegex("""^\| `([(\w)]+)` \| [^|]* \| ([^|]*) \|""", RegexOptions.Multiline)]
    private static partial Regex FolderRow();

    [GeneratedRegex("""`([A-Z][A-Za-z0-9]+)(?:\.[A-Z]\w+)?(?:`|\()""")]
    private static partial Regex TypeName();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quote();
}
