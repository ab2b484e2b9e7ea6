#:package Microsoft.CodeAnalysis.CSharp
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

// Takes what no user of a package can see out of its XML documentation, which the compiler writes for all members:
// dotnet run eng/TrimDocumentation.cs -- ASSEMBLY...
foreach (string assembly in args)
{
    string path = Path.ChangeExtension(assembly, ".xml");
    XDocument documentation = XDocument.Load(path, LoadOptions.PreserveWhitespace);
    HashSet<string> visible = FindVisible(assembly);
    XElement[] members = [.. documentation.Descendants("member")];
    XElement[] hidden = [.. members.Where(member => !visible.Contains(member.Attribute("name")!.Value))];
    foreach (XElement member in hidden)
    {
        // With the line that it stands on.
        (member.PreviousNode as XText)?.Remove();
        member.Remove();
    }

    if (hidden.Length > 0)
        documentation.Save(path, SaveOptions.DisableFormatting);
    Console.WriteLine($"{Path.GetFileName(path)}: {members.Length - hidden.Length} of {members.Length} members are public");
}

static HashSet<string> FindVisible(string assembly)
{
    MetadataReference reference = MetadataReference.CreateFromFile(assembly);
    string[] platform = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
    CSharpCompilation compilation = CSharpCompilation.Create(
        "documentation", references: [reference, .. platform.Select(file => MetadataReference.CreateFromFile(file))]);
    HashSet<string> visible = [];
    Collect(((IAssemblySymbol)compilation.GetAssemblyOrModuleSymbol(reference)!).GlobalNamespace, visible);
    return visible;
}

static void Collect(INamespaceOrTypeSymbol container, HashSet<string> visible)
{
    foreach (ISymbol member in container.GetMembers())
    {
        if (member is not INamespaceSymbol && member.DeclaredAccessibility is not (Accessibility.Public or Accessibility.Protected or Accessibility.ProtectedOrInternal))
            continue;
        visible.Add(member.GetDocumentationCommentId()!);
        if (member is INamespaceOrTypeSymbol inner)
            Collect(inner, visible);
    }
}
