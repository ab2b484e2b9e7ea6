using System.Xml.Linq;

namespace Microsoft.ML.Leap.Notebooks;

/// <summary>The versions that this repository uses and makes.</summary>
internal sealed class PackageVersions
{
    private readonly Dictionary<string, string> _versions;

    /// <summary>Reads them from the repository's Directory.Packages.props and Directory.Build.props.</summary>
    public PackageVersions(string repository)
    {
        XDocument packages = XDocument.Load(Path.Combine(repository, "Directory.Packages.props"));
        _versions = packages.Descendants("PackageVersion")
            .ToDictionary(package => package.Attribute("Include")!.Value, package => package.Attribute("Version")!.Value);
        TorchSharp = packages.Descendants("TorchSharpVersion").Single().Value;
        Leap = XDocument.Load(Path.Combine(repository, "Directory.Build.props")).Descendants("VersionPrefix").Single().Value;
    }

    public string TorchSharp { get; }

    public string Leap { get; }

    /// <exception cref="KeyNotFoundException">The repository does not use the package.</exception>
    public string this[string package] => _versions[package];
}
