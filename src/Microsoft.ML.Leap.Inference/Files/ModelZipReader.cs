using System.Buffers.Binary;
using System.IO.Compression;

namespace Microsoft.ML.Leap;

/// <summary>Reads a model from the zip that <c>mlContext.Model.Save</c> writes, a pipeline's or a single transformer's, without
/// ML.NET.</summary>
/// <remarks>A model's files are entries of one folder of the zip, beside <c>Model.key</c>. That one begins with ML.NET's header, which says
/// where its content starts: the <see cref="ModelManifest"/>.</remarks>
internal static class ModelZipReader
{
    private const string KeyName = "Model.key";
    private const int PlaceOfContentOffset = 16;
    private const int MaximumKeyLength = 1 << 20;

    // The signature that ModelZip gives; ML.NET writes a zero for a space.
    private static readonly byte[] Mark = "LEAP\0LM\0"u8.ToArray();

    /// <summary>Reads the zip's model.</summary>
    /// <param name="stream">The zip; seekable. It stays open.</param>
    /// <param name="read">Reads the model's files.</param>
    /// <exception cref="FormatException">The stream is no such zip, or damaged.</exception>
    /// <exception cref="InvalidOperationException">The zip holds several models.</exception>
    public static T Read<T>(Stream stream, Func<IModelSource, T> read)
    {
        try
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            return read(new Source(archive, FindFolder(archive)));
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            throw new FormatException($"The zip cannot be read: {e.Message}", e);
        }
    }

    private static string FindFolder(ZipArchive archive)
    {
        string[] folders = [.. archive.Entries.Select(entry => Normalize(entry.FullName))
            .Where(name => name == ModelFileNames.Weights || name.EndsWith('/' + ModelFileNames.Weights, StringComparison.Ordinal))
            .Select(name => name[..^ModelFileNames.Weights.Length]).Distinct()];
        return folders.Length switch
        {
            1 => folders[0],
            0 => throw new FormatException($"The zip holds no LEAP language model: it has no entry {ModelFileNames.Weights}."),
            _ => throw new InvalidOperationException(
                $"The zip holds {folders.Length} LEAP language models, in {string.Join(", ", folders)}: save the one to load by itself."),
        };
    }

    // ML.NET writes the separators of the system that it runs on.
    private static string Normalize(string name) => name.Replace('\\', '/');

    private sealed class Source : IModelSource
    {
        private readonly Dictionary<string, ZipArchiveEntry> _entries = new(StringComparer.Ordinal);
        private readonly ModelManifest _manifest;

        public Source(ZipArchive archive, string folder)
        {
            foreach (ZipArchiveEntry entry in archive.Entries)
            {
                string name = Normalize(entry.FullName);
                if (name.StartsWith(folder, StringComparison.Ordinal) && !_entries.TryAdd(name[folder.Length..], entry))
                    throw new FormatException($"The zip has two entries {name}.");
            }

            _manifest = ReadManifest();
        }

        public bool Contains(string name) => _manifest.Contains(name);

        public T Read<T>(string name, Func<Stream, T> read)
        {
            if (!_manifest.Contains(name) || !_entries.TryGetValue(name, out ZipArchiveEntry? entry))
                throw new FormatException($"{name}: the model lacks this entry.");

            using Stream content = entry.Open();
            return _manifest.ReadFile(name, content, entry.Length, read);
        }

        private ModelManifest ReadManifest()
        {
            if (!_entries.TryGetValue(KeyName, out ZipArchiveEntry? entry))
                throw new FormatException($"The model's folder in the zip lacks {KeyName}.");
            using Stream stream = entry.Open();
            byte[] key = BoundedReader.ReadAll(stream, MaximumKeyLength, KeyName);
            long start = key.Length < PlaceOfContentOffset + sizeof(long) ? -1 : BinaryPrimitives.ReadInt64LittleEndian(key.AsSpan(PlaceOfContentOffset));
            if (start < 0 || start > key.Length || key.AsSpan(0, (int)start).IndexOf(Mark) < 0)
                throw new FormatException($"{KeyName}: the entry is damaged, or not that of a LEAP language model.");
            using var reader = new BinaryReader(new MemoryStream(key, (int)start, key.Length - (int)start));
            return ModelManifest.Read(reader);
        }
    }
}
