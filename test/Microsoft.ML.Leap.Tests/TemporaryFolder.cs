namespace Microsoft.ML.Leap.Tests;

/// <summary>A folder of a test's own, deleted with it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("leap-test-").FullName;

    public string[] Files => Directory.GetFiles(Path, "*", SearchOption.AllDirectories);

    /// <summary>Gets how many files of the folder this process has open; on Linux also those that have no name any more.</summary>
    public int OpenFileCount => !OperatingSystem.IsLinux()
        ? Files.Length
        : Directory.GetFiles("/proc/self/fd").Select(link => new FileInfo(link).LinkTarget)
            .Where(target => target?.StartsWith(Path, StringComparison.Ordinal) == true).Distinct().Count();

    /// <summary>Reads the files of the folder itself, by name.</summary>
    public Dictionary<string, byte[]> ReadFiles() =>
        Directory.GetFiles(Path).ToDictionary(path => System.IO.Path.GetFileName(path), File.ReadAllBytes);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
