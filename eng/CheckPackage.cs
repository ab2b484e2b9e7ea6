using System.IO.Compression;
using System.Xml.Linq;

// Checks what is in the NuGet package: dotnet run eng/CheckPackage.cs -- FOLDER

string package = Directory.GetFiles(args[0], "*.nupkg").Single();
using ZipArchive archive = ZipFile.OpenRead(package);
string[] files = [.. archive.Entries.Select(entry => entry.FullName)];
using Stream nuspec = archive.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
XElement metadata = XDocument.Load(nuspec).Root!.Elements().Single();

List<string> faults = [];
Compare("libraries", files.Where(file => file.StartsWith("lib/", StringComparison.Ordinal)),
    ["lib/net10.0/Microsoft.ML.Leap.dll", "lib/net10.0/Microsoft.ML.Leap.xml"]);
Compare("native files", files.Where(file => file.StartsWith("runtimes/", StringComparison.Ordinal)), []);
Compare("readme", files.Where(file => file == Value("readme")), ["README.md"]);
Compare("license", [Value("license")], ["MIT"]);
XElement[] dependencies = [.. metadata.Descendants().Where(element => element.Name.LocalName == "dependency")];
Compare("dependencies", dependencies.Select(element => element.Attribute("id")!.Value), ["Microsoft.ML", "Microsoft.ML.Tokenizers", "TorchSharp"]);
// The next major version may lack the internal members that Persistence uses.
Compare("versions of Microsoft.ML", dependencies.Where(element => element.Attribute("id")!.Value == "Microsoft.ML")
    .Select(element => element.Attribute("version")!.Value), ["[5.0.1, 6.0.0)"]);
Compare("symbols", SymbolFiles(), ["lib/net10.0/Microsoft.ML.Leap.pdb"]);

foreach (string fault in faults)
    Console.Error.WriteLine($"{Path.GetFileName(package)}: {fault}");
if (faults.Count == 0)
    Console.WriteLine($"{package}: {files.Length} files, as they should be");
return faults.Count == 0 ? 0 : 1;

string Value(string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value ?? "";

string[] SymbolFiles()
{
    using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(package, ".snupkg"));
    return [.. symbols.Entries.Select(entry => entry.FullName).Where(name => name.StartsWith("lib/", StringComparison.Ordinal))];
}

void Compare(string what, IEnumerable<string> actual, IEnumerable<string> expected)
{
    string found = string.Join(", ", actual.Order(StringComparer.Ordinal));
    string wanted = string.Join(", ", expected.Order(StringComparer.Ordinal));
    if (found != wanted)
        faults.Add($"{what}: expected [{wanted}], got [{found}]");
}
