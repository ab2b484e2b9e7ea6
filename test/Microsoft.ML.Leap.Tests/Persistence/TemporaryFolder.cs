namespace Microsoft.ML.Leap.Tests;

/// <summary>A new folder that goes when the test ends.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("leap-").FullName;

    public Dictionary<string, byte[]> Files() =>
        Directory.GetFiles(Path).ToDictionary(path => System.IO.Path.GetFileName(path), File.ReadAllBytes);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
