using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>The sources' folders use each other as the page on the architecture says.</summary>
[TestClass]
public partial class ArchitectureTests
{
    private static readonly string Sources = Path.Combine(RepositoryFolder.Path, "src");

    // A folder goes by the last part of its assembly's name and its own, the top of an assembly by the former alone.
    private static readonly string[] Assemblies = ["Microsoft.ML.Leap.Inference", "Microsoft.ML.Leap"];

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
    public void Folders_OfSources_UseEachOtherDownwardAlone()
    {
        CSharpCompilation compilation = Compilation.Value;
        Dictionary<string, string[]> uses = compilation.SyntaxTrees.SelectMany(tree => Uses(tree, compilation.GetSemanticModel(tree)))
            .Distinct().Select(use => use.Split(" uses ")).GroupBy(use => use[0], use => use[1]).ToDictionary(group => group.Key, group => group.ToArray());

        // Takes away what uses nothing that is left, again and again; a circle remains.
        while (uses.FirstOrDefault(folder => !folder.Value.Any(uses.ContainsKey)).Key is string lowest)
            uses.Remove(lowest);
        Assert.IsEmpty(uses, string.Join("; ", uses.Select(folder => $"{folder.Key} uses {string.Join(", ", folder.Value.Where(uses.ContainsKey))}")));
    }

    [TestMethod]
    public void Internals_OfMlNet_AreUsedInTheBridgeAndByTheLoader()
    {
        CSharpCompilation compilation = Compilation.Value;
        string[] users = [.. compilation.SyntaxTrees
            .Where(tree => Symbols(tree, compilation.GetSemanticModel(tree)).Any(IsClosedType))
            .Select(tree => Folder(tree.FilePath) == "Leap" ? Path.GetFileName(tree.FilePath) : Folder(tree.FilePath)).Distinct().Order()];
        CollectionAssert.IsSubsetOf(users, new[] { "Leap/Bridge", "TransformerLoader.cs" });
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

    private static string FolderSection() => Page.Split("\n## ").Single(section => section.StartsWith("Folders of the packages", StringComparison.Ordinal));

    // Types alone: of what is closed in an open type the compiler here sees nothing.
    private static bool IsClosedType(ISymbol symbol) =>
        symbol is INamedTypeSymbol { DeclaredAccessibility: Accessibility.Internal } type && type.ContainingAssembly?.Name == "Microsoft.ML.Core";

    private static CSharpCompilation Compile()
    {
        string references = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        IEnumerable<SyntaxTree> trees = Assemblies.SelectMany(name => Directory.EnumerateFiles(Path.Combine(Sources, name), "*.cs", SearchOption.AllDirectories))
            .Where(path => !Path.GetRelativePath(Sources, path).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Select(path => CSharpSyntaxTree.ParseText(File.ReadAllText(path), path: path))
            .Append(CSharpSyntaxTree.ParseText(
                "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using System.Threading;"));
        return CSharpCompilation.Create(
            "Sources",
            trees,
            references.Split(Path.PathSeparator)
                .Where(path => !Assemblies.Contains(Path.GetFileNameWithoutExtension(path)))
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
        string assembly = parts[0].Split('.')[^1];
        return parts.Length == 2 ? assembly : $"{assembly}/{parts[1]}";
    }

    [GeneratedRegex("""^\| `([\w/]+)` \| [^|]* \| ([^|]*) \|""", RegexOptions.Multiline)]
    private static partial Regex FolderRow();

    [GeneratedRegex("""`([A-Z][A-Za-z0-9]+)(?:\.[A-Z]\w+)?(?:`|\()""")]
    private static partial Regex TypeName();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quote();
}
