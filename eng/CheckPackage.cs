using System.Buffers.Binary;
using System.IO.Compression;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

// Checks what is in the NuGet packages: dotnet run eng/CheckPackage.cs -- FOLDER

// The next major version of Microsoft.ML may lack the internal members that Persistence uses.
string[] inference = ["Microsoft.ML.Tokenizers 2.0.1", "System.Numerics.Tensors 11.0.0"];
string[] leap = ["Microsoft.ML [5.0.1, 6.0.0)", "Microsoft.ML.Leap.Inference VERSION", "TorchSharp 0.107.0"];
string[] extensions = ["Microsoft.Extensions.AI.Abstractions 10.11.0", "Microsoft.ML.Leap.Inference VERSION"];
string[] server = ["Microsoft.ML.Leap.Inference VERSION"];
string[] cluster = ["Microsoft.ML.Leap VERSION", "Microsoft.Orleans.Runtime 10.4.2", "Microsoft.Orleans.Sdk 10.4.2"];
(string Id, string[] Dependencies)[] packages =
[
    ("Microsoft.ML.Leap.Inference", inference), ("Microsoft.ML.Leap", leap), ("Microsoft.ML.Leap.Extensions.AI", extensions),
    ("Microsoft.ML.Leap.AspNetCore", server), ("Microsoft.ML.Leap.Orleans", cluster),
];

List<string> faults = [];
string[] found = [.. Directory.GetFiles(args[0], "*.nupkg").Select(path => Path.GetFileName(path))];
foreach ((string id, string[] dependencies) in packages)
{
    // A version follows the name: one package's name may begin with the other's.
    string[] files =
        [.. found.Where(file => file.StartsWith(id + '.', StringComparison.Ordinal) && char.IsAsciiDigit(file[id.Length + 1]))];
    if (files.Length == 1)
        new PackageCheck(Path.Combine(args[0], files[0]), id, faults).Run(dependencies);
    else
        faults.Add($"{id}: expected one package, got [{string.Join(", ", files)}]");
}

const string tool = "Leap.Tool";
if (found.SingleOrDefault(file => file.StartsWith(tool + '.', StringComparison.Ordinal)) is string file)
    new PackageCheck(Path.Combine(args[0], file), tool, faults).RunTool();
else
    faults.Add($"{tool}: expected one package");
if (found.Length != packages.Length + 1)
    faults.Add($"expected {packages.Length + 1} packages, got [{string.Join(", ", found)}]");
foreach (string fault in faults)
    Console.Error.WriteLine(fault);
if (faults.Count == 0)
    Console.WriteLine($"{args[0]}: {string.Join(", ", found)}: as they should be");
return faults.Count == 0 ? 0 : 1;

/// <summary>Compares a package with what it should be.</summary>
internal sealed class PackageCheck(string path, string id, List<string> faults)
{
    public void Run(string[] dependencies)
    {
        using ZipArchive archive = ZipFile.OpenRead(path);
        XElement metadata = ReadMetadata(archive);
        CheckFiles(archive);
        CheckMetadata(metadata);
        CheckDependencies(metadata, dependencies);
        CheckIcon(archive.GetEntry("icon.png"));
        using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(path, ".snupkg"));
        Compare("symbols", Names(symbols), [$"{id}.nuspec", $"lib/net10.0/{id}.pdb"]);
    }

    /// <summary>Checks a tool's package, which holds all that the tool needs, but for libtorch.</summary>
    public void RunTool()
    {
        const long mostBytes = 20_000_000;
        using ZipArchive archive = ZipFile.OpenRead(path);
        CheckMetadata(ReadMetadata(archive));
        CheckIcon(archive.GetEntry("icon.png"));
        Compare("files at the root", Names(archive).Where(name => !name.Contains('/', StringComparison.Ordinal)), [$"{id}.nuspec", "README.md", "icon.png"]);
        foreach (string name in (string[])["DotnetToolSettings.xml", $"{id}.dll", "Microsoft.ML.Leap.Inference.dll", "runtimes/linux-x64/native/libLibTorchSharp.so"])
        {
            if (archive.GetEntry($"tools/net10.0/any/{name}") is null)
                faults.Add($"{id}: {name} is missing");
        }

        faults.AddRange(Names(archive).Where(name => name.Contains("torch_cpu", StringComparison.Ordinal) || name.EndsWith(".dbg", StringComparison.Ordinal))
            .Select(name => $"{id}: {name} does not belong into it"));
        long bytes = new FileInfo(path).Length;
        if (bytes > mostBytes)
            faults.Add($"{id}: {bytes:N0} bytes, where {mostBytes:N0} are the most");
    }

    // eng/TrimDocumentation.cs takes the others out.
    private void CheckDocumentation(ZipArchive archive)
    {
        using Stream assembly = archive.GetEntry($"lib/net10.0/{id}.dll")!.Open();
        using var copy = new MemoryStream();
        assembly.CopyTo(copy);
        copy.Position = 0;
        using var image = new PEReader(copy);
        MetadataReader types = image.GetMetadataReader();
        HashSet<string> hidden = [];
        foreach (TypeDefinition type in types.TypeDefinitions.Select(types.GetTypeDefinition))
        {
            if ((type.Attributes & TypeAttributes.VisibilityMask) == TypeAttributes.NotPublic)
                hidden.Add($"{types.GetString(type.Namespace)}.{types.GetString(type.Name)}");
        }

        using Stream documentation = archive.GetEntry($"lib/net10.0/{id}.xml")!.Open();
        string[] names = [.. XDocument.Load(documentation).Descendants("member").Select(member => member.Attribute("name")!.Value[2..])];
        if (names.Length == 0)
            faults.Add($"{id}: the documentation has no members");
        faults.AddRange(names.Where(hidden.Contains).Select(name => $"{id}: the documentation tells of {name}, which is not public"));
    }

    private void CheckFiles(ZipArchive archive)
    {
        string[] files = [$"{id}.nuspec", "README.md", "icon.png", $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml"];

        // Compiled already, for a quick start.
        string[] compiled = id.EndsWith(".Inference", StringComparison.Ordinal) ? [$"runtimes/linux-x64/lib/net10.0/{id}.dll"] : [];
        Compare("files", Names(archive), [.. files, .. compiled]);
        CheckDocumentation(archive);
        foreach (ZipArchiveEntry entry in archive.Entries.Where(entry => entry.Length == 0))
            faults.Add($"{id}: {entry.FullName} is empty");
    }

    private void CheckMetadata(XElement metadata)
    {
        Compare("id", [Value(metadata, "id")], [id]);
        Compare("license", [Value(metadata, "license")], ["MIT"]);
        Compare("readme", [Value(metadata, "readme")], ["README.md"]);
        Compare("icon", [Value(metadata, "icon")], ["icon.png"]);
        foreach (string name in (string[])["version", "authors", "description", "tags", "releaseNotes"])
        {
            if (Value(metadata, name).Length == 0)
                faults.Add($"{id}: no {name}");
        }
    }

    private void CheckDependencies(XElement metadata, string[] expected)
    {
        XElement[] dependencies = [.. metadata.Descendants().Where(element => element.Name.LocalName == "dependency")];
        IEnumerable<XElement> groups =
            metadata.Descendants().Where(element => element.Name.LocalName == "group" && element.Parent?.Name.LocalName == "dependencies");
        Compare("frameworks", groups.Select(group => group.Attribute("targetFramework")!.Value), ["net10.0"]);
        Compare(
            "dependencies",
            dependencies.Select(element => $"{element.Attribute("id")!.Value} {element.Attribute("version")!.Value}"),
            expected.Select(dependency => dependency.Replace("VERSION", Value(metadata, "version"), StringComparison.Ordinal)));
    }

    // NuGet shows icons of 128 by 128. A PNG's size is in the chunk after its signature.
    private void CheckIcon(ZipArchiveEntry? entry)
    {
        if (entry is null)
            return;
        byte[] start = new byte[24];
        using Stream stream = entry.Open();
        stream.ReadExactly(start);
        bool isPng = start.AsSpan(1).StartsWith("PNG\r\n"u8);
        int width = BinaryPrimitives.ReadInt32BigEndian(start.AsSpan(16));
        int height = BinaryPrimitives.ReadInt32BigEndian(start.AsSpan(20));
        if (!isPng || width != 128 || height != 128)
            faults.Add($"{id}: expected an icon of 128 x 128 in PNG, got {width} x {height}");
    }

    private static XElement ReadMetadata(ZipArchive archive)
    {
        using Stream nuspec = archive.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return XDocument.Load(nuspec).Root!.Elements().Single();
    }

    // Without what the packaging format itself adds.
    private static IEnumerable<string> Names(ZipArchive archive) => archive.Entries.Select(entry => entry.FullName).Where(name =>
        name is not ("_rels/.rels" or "[Content_Types].xml") && !name.EndsWith(".psmdcp", StringComparison.Ordinal));

    private static string Value(XElement metadata, string name) =>
        metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value ?? "";

    private void Compare(string what, IEnumerable<string> actual, IEnumerable<string> expected)
    {
        string got = string.Join(", ", actual.Order(StringComparer.Ordinal));
        string wanted = string.Join(", ", expected.Order(StringComparer.Ordinal));
        if (got != wanted)
            faults.Add($"{id}: {what}: expected [{wanted}], got [{got}]");
    }
}
