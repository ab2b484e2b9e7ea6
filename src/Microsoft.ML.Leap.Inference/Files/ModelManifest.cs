using System.Runtime.ExceptionServices;
using System.Security.Cryptography;

namespace Microsoft.ML.Leap;

/// <summary>The lengths and SHA-256 sums of a model's files, to tell a damaged model from a whole one.</summary>
/// <remarks>In binary: the number of files (Int32), and for each its name (a string of <see cref="BinaryWriter"/>), its length in
/// bytes (Int64) and its sum (32 bytes).</remarks>
internal sealed class ModelManifest
{
    private const int MaximumCount = 64;

    // What is small is read whole, and compared at the end of a load.
    private const long SmallLength = 1 << 20;

    private readonly Dictionary<string, FileFacts> _files = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private List<(string Name, byte[] Content, string Remedy)>? _uncompared;

    /// <summary>Gets whether a file is listed.</summary>
    public bool Contains(string name) => _files.ContainsKey(name);

    /// <summary>Lists a file.</summary>
    /// <param name="name">Its name, not listed yet.</param>
    /// <param name="content">Its content, at the first byte. It is read to the end.</param>
    public void Add(string name, Stream content) => _files.Add(name, new FileFacts(content.Length, SHA256.HashData(content)));

    /// <summary>Loads what is in the files. Small ones are compared with what is listed when all are read: what reads them does not wait for the
    /// system's cryptography, which a process loads for the large ones at the same time.</summary>
    /// <param name="load">Reads files by <see cref="ReadFile"/>, of which some threads may read different ones; at its end none reads any more.</param>
    /// <returns>What <paramref name="load"/> returned, of files that are as they were saved.</returns>
    /// <exception cref="FormatException">A file differs from what is listed, or <paramref name="load"/> found fault with it.</exception>
    public T Load<T>(Func<T> load)
    {
        _uncompared = [];
        T result;
        try
        {
            result = load();
        }
        catch (FormatException)
        {
            // Where a file is damaged, what its reader complains of is only a consequence.
            Compare();
            throw;
        }

        Compare();
        return result;
    }

    /// <summary>Reads a file, and compares it with what is listed on the way.</summary>
    /// <param name="name">Its name, which is listed.</param>
    /// <param name="content">Its content, at the first byte.</param>
    /// <param name="length">The length that is claimed for it.</param>
    /// <param name="read">Reads it, in order. The stream knows its length, and ends there.</param>
    /// <param name="remedy">What to say to who has a file that differs; empty, or a sentence after a space.</param>
    /// <returns>What <paramref name="read"/> returned, of a file that is as it was saved.</returns>
    /// <exception cref="FormatException">The file differs from what is listed, or <paramref name="read"/> found fault with it.</exception>
    public T ReadFile<T>(string name, Stream content, long length, Func<Stream, T> read, string remedy = "")
    {
        (long expected, byte[] sum) = _files[name];
        if (length != expected)
            throw new FormatException($"{name}: the entry must have {expected} bytes, but has {length}.{remedy}");
        if (_uncompared is not null && length <= SmallLength)
            return read(new MemoryStream(ReadWhole(name, content, (int)length, remedy)));
        using var hashed = new HashedStream(content, length);
        T? result = default;
        ExceptionDispatchInfo? fault = null;
        try
        {
            result = read(hashed);
        }
        catch (FormatException e)
        {
            fault = ExceptionDispatchInfo.Capture(e);
        }

        // Of a damaged file too.
        RequireSum(name, hashed.ReadToEnd(), sum, remedy);
        fault?.Throw();
        return result!;
    }

    /// <summary>Writes the list.</summary>
    public void Write(BinaryWriter writer)
    {
        writer.Write(_files.Count);
        foreach ((string name, (long length, byte[] sum)) in _files)
        {
            writer.Write(name);
            writer.Write(length);
            writer.Write(sum);
        }
    }

    /// <summary>Reads a list.</summary>
    /// <exception cref="FormatException">It is malformed.</exception>
    public static ModelManifest Read(BinaryReader reader)
    {
        try
        {
            var manifest = new ModelManifest();
            int count = reader.ReadInt32();
            if (count is < 0 or > MaximumCount)
                throw new FormatException($"The model's list of files must name at most {MaximumCount}, but names {count}.");
            for (int i = 0; i < count; i++)
            {
                string name = ReadName(reader);
                if (!manifest._files.TryAdd(name, new FileFacts(reader.ReadInt64(), reader.ReadBytes(SHA256.HashSizeInBytes))))
                    throw new FormatException($"The model's list of files names '{name}' twice.");
            }

            return manifest;
        }
        catch (IOException e)
        {
            throw new FormatException("The model's list of files is truncated.", e);
        }
    }

    private byte[] ReadWhole(string name, Stream content, int length, string remedy)
    {
        byte[] bytes = new byte[length];
        int read = content.ReadAtLeast(bytes, length, throwOnEndOfStream: false);
        if (read < length)
            Array.Resize(ref bytes, read);
        lock (_lock)
            _uncompared!.Add((name, bytes, remedy));
        return bytes;
    }

    private void Compare()
    {
        foreach ((string name, byte[] content, string remedy) in _uncompared!)
            RequireSum(name, SHA256.HashData(content), _files[name].Sum, remedy);
        _uncompared = null;
    }

    private static void RequireSum(string name, byte[] sum, byte[] expected, string remedy)
    {
        if (!sum.AsSpan().SequenceEqual(expected))
            throw new FormatException($"{name}: the entry is damaged: its content does not match the sum that was saved with it.{remedy}");
    }

    private static string ReadName(BinaryReader reader)
    {
        try
        {
            return reader.ReadString();
        }
        catch (FormatException e)
        {
            throw new FormatException($"The model's list of files is damaged: {e.Message}", e);
        }
    }

    private sealed record FileFacts(long Length, byte[] Sum);

    // A stream that is read once, in order, up to a length.
    private sealed class HashedStream(Stream inner, long length) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length { get; } = length;

        public override long Position
        {
            get => _position;
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            int read = inner.Read(buffer[..(int)Math.Min(buffer.Length, Length - _position)]);
            _hash.AppendData(buffer[..read]);
            _position += read;
            return read;
        }

        /// <summary>Reads what is left.</summary>
        /// <returns>The sum of all.</returns>
        public byte[] ReadToEnd()
        {
            CopyTo(Null);
            return _hash.GetHashAndReset();
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _hash.Dispose();
            base.Dispose(disposing);
        }
    }
}
