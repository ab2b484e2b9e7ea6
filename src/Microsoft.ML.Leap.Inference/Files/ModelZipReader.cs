using System.Buffers.Binary;
using System.IO.Compression;

namespace Microsoft.ML.Leap;

/// <summary>Reads a model from the zip that <c>mlContext.Model.Save</c> writes, a pipeline's or a single transformer's, without
/// ML.NET; or from the zip of a folder.</summary>
/// <remarks>A model's files are entries of one folder of the zip, beside the <see cref="ModelManifest"/>. That is a folder's own
/// <c>leap.manifest</c>, or the content of <c>Model.key</c>, which begins with ML.NET's header; the header says where the content
/// starts.</remarks>
internal static class ModelZipReader
{
    private const string KeyName = "Model.key";
    private const int PlaceOfContentOffset = 16;
    private const int MaximumKeyLength = 1 << 20;
    private const int ReadAtOnce = 1 << 15;

    // Deflate makes at most 258 bytes of two bits.
    private const int GreatestRatio = 1032;

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
            using ZipArchive archive = Open(stream);
            return new Source(stream, archive, FindFolder(archive)).Load(read);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            throw new FormatException($"The zip cannot be read: {e.Message}", e);
        }
    }

    // The archive itself asks for a few kilobytes at a time.
    private static ZipArchive Open(Stream stream) => new(new BufferedStream(new SharedStream(stream), ReadAtOnce), ZipArchiveMode.Read);

    private static string FindFolder(ZipArchive archive)
    {
        List<string> folders = [];
        foreach (ZipArchiveEntry entry in archive.Entries)
        {
            string name = Normalize(entry.FullName);
            if (name != ModelFileNames.Weights && !name.EndsWith('/' + ModelFileNames.Weights, StringComparison.Ordinal))
                continue;
            string folder = name[..^ModelFileNames.Weights.Length];
            if (!folders.Contains(folder))
                folders.Add(folder);
        }

        return folders.Count switch
        {
            1 => folders[0],
            0 => throw new FormatException($"The zip holds no LEAP language model: it has no entry {ModelFileNames.Weights}."),
            _ => throw new InvalidOperationException(
                $"The zip holds {folders.Count} LEAP language models, in {string.Join(", ", folders)}: save the one to load by itself."),
        };
    }

    // ML.NET writes the separators of the system that it runs on.
    private static string Normalize(string name) => name.Replace('\\', '/');

    private sealed class Source : IModelSource
    {
        private readonly Dictionary<string, ZipArchiveEntry> _entries = new(StringComparer.Ordinal);
        private readonly ModelManifest _manifest;
        private readonly Stream _stream;

        public Source(Stream stream, ZipArchive archive, string folder)
        {
            _stream = stream;
            foreach (ZipArchiveEntry entry in archive.Entries)
            {
                string name = Normalize(entry.FullName);
                if (name.StartsWith(folder, StringComparison.Ordinal) && !_entries.TryAdd(name[folder.Length..], entry))
                    throw new FormatException($"The zip has two entries {name}.");
            }

            _manifest = ReadManifest();
        }

        public T Load<T>(Func<IModelSource, T> load) => _manifest.Load(() => load(this));

        public bool Contains(string name) => _manifest.Contains(name);

        public T Read<T>(string name, Func<Stream, T> read) => Read(Find(name), name, read);

        public Task<T> ReadAside<T>(string name, Func<Stream, T> read)
        {
            if (!SpareThread.Exists)
                return Task.FromResult(Read(name, read));
            return SpareThread.Run(() =>
            {
                // The entries of one archive cannot be read at the same time; those of two can.
                using ZipArchive archive = Open(_stream);
                return Read(archive.GetEntry(Find(name).FullName)!, name, read);
            });
        }

        private ZipArchiveEntry Find(string name) => _manifest.Contains(name) && _entries.TryGetValue(name, out ZipArchiveEntry? entry)
            ? entry
            : throw new FormatException($"{name}: the model lacks this entry.");

        private T Read<T>(ZipArchiveEntry entry, string name, Func<Stream, T> read)
        {
            // Who takes memory by the length that is claimed must not take more than can come.
            if (entry.CompressedLength > _stream.Length || entry.Length > entry.CompressedLength * GreatestRatio)
            {
                throw new FormatException(
                    $"{name}: the entry claims that {entry.CompressedLength} bytes of the zip unpack to {entry.Length}, which they cannot.");
            }

            using Stream content = entry.Open();
            return _manifest.ReadFile(name, content, entry.Length, read);
        }

        private ModelManifest ReadManifest()
        {
            if (ReadSmall(KeyName) is not { } key)
            {
                byte[] manifest = ReadSmall(ModelFileNames.Manifest)
                    ?? throw new FormatException($"The model's folder in the zip lacks {KeyName} of ML.NET, or {ModelFileNames.Manifest} of a saved folder.");
                using var plain = new BinaryReader(new MemoryStream(manifest));
                return ModelManifest.Read(plain);
            }

            long start = key.Length < PlaceOfContentOffset + sizeof(long) ? -1 : BinaryPrimitives.ReadInt64LittleEndian(key.AsSpan(PlaceOfContentOffset));
            if (start < 0 || start > key.Length || key.AsSpan(0, (int)start).IndexOf(Mark) < 0)
                throw new FormatException($"{KeyName}: the entry is damaged, or not that of a LEAP language model.");
            using var reader = new BinaryReader(new MemoryStream(key, (int)start, key.Length - (int)start));
            return ModelManifest.Read(reader);
        }

        private byte[]? ReadSmall(string name)
        {
            if (!_entries.TryGetValue(name, out ZipArchiveEntry? entry))
                return null;
            using Stream stream = entry.Open();
            return BoundedReader.ReadAll(stream, MaximumKeyLength, name);
        }
    }

    // A stream that several threads read, each by an object of this class with a position of its own.
    private sealed class SharedStream(Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length { get; } = inner.Length;

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            lock (inner)
            {
                inner.Position = Position;
                int read = inner.Read(buffer);
                Position += read;
                return read;
            }
        }

        public override long Seek(long offset, SeekOrigin origin)
        {
            long start = origin switch
            {
                SeekOrigin.Begin => 0,
                SeekOrigin.Current => Position,
                _ => Length,
            };

            // By this exception the archive knows that there is no such place.
            if (start + offset < 0)
                throw new IOException($"There is nothing {-(start + offset)} bytes before the start of the zip.");
            return Position = start + offset;
        }

        public override void Flush()
        {
        }

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
