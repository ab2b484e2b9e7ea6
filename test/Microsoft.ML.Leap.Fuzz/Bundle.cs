using System.Text;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>Several files as one input: before each stands a line of its own, <c>@@ name</c>.</summary>
internal static class Bundle
{
    private static ReadOnlySpan<byte> Mark => "\n@@ "u8;

    /// <summary>Puts files together.</summary>
    public static byte[] Write(IEnumerable<KeyValuePair<string, byte[]>> files)
    {
        using var stream = new MemoryStream();
        foreach ((string name, byte[] content) in files)
        {
            stream.Write(stream.Length == 0 ? Mark[1..] : Mark);
            stream.Write(Encoding.ASCII.GetBytes(name + "\n"));
            stream.Write(content);
        }

        return stream.ToArray();
    }

    /// <summary>Takes files apart. Of a name that is not among <paramref name="names"/>, or comes again, the file is left out.</summary>
    public static Dictionary<string, byte[]> Read(byte[] input, IReadOnlyCollection<string> names)
    {
        var files = new Dictionary<string, byte[]>();
        ReadOnlySpan<byte> rest = [(byte)'\n', .. input];
        for (int start = rest.IndexOf(Mark); start >= 0; start = rest.IndexOf(Mark))
        {
            rest = rest[(start + Mark.Length)..];
            int lineEnd = rest.IndexOf((byte)'\n');
            if (lineEnd < 0)
                break;
            string name = Encoding.ASCII.GetString(rest[..lineEnd]);

            // The line's end may be that of the next mark too: a file without content.
            ReadOnlySpan<byte> content = rest[lineEnd..];
            int end = content.IndexOf(Mark);
            if (names.Contains(name))
                files.TryAdd(name, (end == 0 ? [] : end < 0 ? content[1..] : content[1..end]).ToArray());
            rest = content;
        }

        return files;
    }
}

/// <summary>A model's files in memory.</summary>
internal sealed class MemoryFiles(IReadOnlyDictionary<string, byte[]> files) : IModelSource
{
    public bool Contains(string name) => files.ContainsKey(name);

    public T Read<T>(string name, Func<Stream, T> read) => files.TryGetValue(name, out byte[]? content)
        ? read(new MemoryStream(content, writable: false))
        : throw new FormatException($"{name}: the model lacks this entry.");

    public Stream? Open(string name) => files.TryGetValue(name, out byte[]? content) ? new MemoryStream(content, writable: false) : null;

    /// <summary>Gives the files with one of them replaced or added.</summary>
    public static MemoryFiles With(IReadOnlyDictionary<string, byte[]> files, string name, byte[] content) => new(Put(files, name, content));

    /// <inheritdoc cref="With"/>
    public static Dictionary<string, byte[]> Put(IReadOnlyDictionary<string, byte[]> files, string name, byte[] content) =>
        new(files) { [name] = content };
}

/// <summary>Files that are written to memory.</summary>
internal sealed class MemoryTarget : IModelTarget
{
    public Dictionary<string, byte[]> Files { get; } = [];

    public void Write(string name, Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        Files.Add(name, stream.ToArray());
    }
}

/// <summary>A folder that is there while this object is.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("leap-fuzz-").FullName;

    public void Write(IEnumerable<KeyValuePair<string, byte[]>> files)
    {
        foreach ((string name, byte[] content) in files)
            File.WriteAllBytes(System.IO.Path.Combine(Path, name), content);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
