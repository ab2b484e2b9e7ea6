using System.IO.Compression;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Finds the folder of large test data, which does not travel with the sources.</summary>
internal static class TestData
{
    private const string Variable = "LEAP_TEST_DATA";

    /// <summary>Gets the path of a data file; ends the test as inconclusive where the folder is absent.</summary>
    public static string Find(params string[] parts)
    {
        string? folder = FindFolder();
        if (folder is null)
            Assert.Inconclusive($"The data folder is not here; set {Variable} to it.");
        return Path.Combine([folder, .. parts]);
    }

    /// <summary>Reads the text of a data file, unpacked where its name ends with .gz.</summary>
    public static string ReadText(params string[] parts)
    {
        string path = Find(parts);
        using Stream file = File.OpenRead(path);
        using Stream content = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
        using var reader = new StreamReader(content);
        return reader.ReadToEnd();
    }

    /// <summary>Reads the lines of a data file as its breaks (LF) end them.</summary>
    public static string[] ReadLines(params string[] parts)
    {
        string[] lines = ReadText(parts).Split('\n');
        return lines[^1].Length == 0 ? lines[..^1] : lines;
    }

    private static string? FindFolder()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
            return Directory.Exists(given) ? given
                : throw new DirectoryNotFoundException($"{Variable} names '{given}', which is not a folder.");

        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Leap.sln")))
            root = root.Parent;
        string? folder = root?.Parent is { } parent ? Path.Combine(parent.FullName, "shared", "data") : null;
        return Directory.Exists(folder) ? folder : null;
    }
}
