namespace Microsoft.ML.Leap.Notebooks;

/// <summary>Turns the directives of a file-based program into a notebook's references.</summary>
internal static class NotebookReferences
{
    private const string ProjectDirective = "#:project ";
    private const string PackageDirective = "#:package ";
    private const string PropertyDirective = "#:property ";

    /// <exception cref="FormatException">A line is no directive that a notebook has a counterpart of.</exception>
    public static string Create(string path, IEnumerable<string> lines, PackageVersions versions) =>
        string.Join('\n', lines.Where(line => line.Length > 0).SelectMany(line => Translate(path, line, versions)));

    private static IEnumerable<string> Translate(string path, string line, PackageVersions versions)
    {
        // Properties are about building the program.
        if (line.StartsWith(PropertyDirective, StringComparison.Ordinal))
            return [];
        if (line.StartsWith(PackageDirective, StringComparison.Ordinal))
            return [Package(line[PackageDirective.Length..], versions[line[PackageDirective.Length..]])];
        if (!line.StartsWith(ProjectDirective, StringComparison.Ordinal))
            throw new FormatException($"{path}: before the first cell stands '{line}'; expected #:project, #:package or #:property.");

        string project = line[ProjectDirective.Length..];
        string name = Path.GetFileNameWithoutExtension(project);
        return name == "Microsoft.ML.Leap"
            ? [Package(name, versions.Leap), Package("TorchSharp-cpu", versions.TorchSharp)]
            : [$"#r \"{Path.GetDirectoryName(project)!.Replace('\\', '/')}/bin/Release/net10.0/{name}.dll\""];
    }

    private static string Package(string name, string version) => $"#r \"nuget: {name}, {version}\"";
}
