using System.IO.MemoryMappedFiles;

namespace Microsoft.ML.Leap;

/// <summary>A sequence of bytes, perhaps beyond what an array holds. Read-only and thread-safe.</summary>
internal abstract class ByteStore(long length) : IDisposable
{
    /// <summary>Gets the number of bytes.</summary>
    public long Length { get; } = length;

    /// <summary>Reads bytes [<paramref name="offset"/>, offset + the destination's length), all of them in the store.</summary>
    public abstract void Read(long offset, Span<byte> destination);

    /// <summary>Frees the store, and its file where it has one.</summary>
    public abstract void Dispose();
}

/// <summary>Bytes in memory, in chunks of <see cref="ByteStoreBuilder.ChunkBytes"/>.</summary>
internal sealed class MemoryByteStore(long length, IReadOnlyList<byte[]> chunks) : ByteStore(length)
{
    public override void Read(long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            (long chunk, long start) = Math.DivRem(offset, ByteStoreBuilder.ChunkBytes);
            int size = Math.Min(destination.Length, ByteStoreBuilder.ChunkBytes - (int)start);
            chunks[(int)chunk].AsSpan((int)start, size).CopyTo(destination);
            destination = destination[size..];
            offset += size;
        }
    }

    public override void Dispose()
    {
    }
}

/// <summary>Bytes in a memory-mapped file: the system keeps as much of it in memory as there is room.</summary>
internal sealed class MappedByteStore : ByteStore
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    /// <param name="length">Number of bytes.</param>
    /// <param name="stream">The file, which closes with the store.</param>
    public MappedByteStore(long length, FileStream stream)
        : base(length)
    {
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
    }

    public override void Read(long offset, Span<byte> destination) =>
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_view.PointerOffset + offset), destination);

    public override void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}

/// <summary>Takes bytes as they come: into chunks of memory, and beyond a limit into a temporary file.</summary>
internal sealed class ByteStoreBuilder : IDisposable
{
    public const int ChunkBytes = 1 << 20;

    private readonly long _maximumMemory;
    private readonly string _folder;
    private readonly List<byte[]> _chunks = [];
    private FileStream? _file;
    private int _used = ChunkBytes;

    /// <param name="maximumMemory">Bytes that may stay in memory.</param>
    /// <param name="folder">Where the file goes; made when absent. <see langword="null"/> for the system's folder.</param>
    public ByteStoreBuilder(long maximumMemory, string? folder)
    {
        _maximumMemory = maximumMemory;
        _folder = folder ?? Path.GetTempPath();
    }

    /// <summary>Gets the number of bytes so far.</summary>
    public long Length { get; private set; }

    /// <summary>Adds bytes at the end.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_used == ChunkBytes)
                StartChunk();
            int size = Math.Min(bytes.Length, ChunkBytes - _used);
            bytes[..size].CopyTo(_chunks[^1].AsSpan(_used));
            _used += size;
            Length += size;
            bytes = bytes[size..];
            if (_file is null && Length > _maximumMemory)
                Spill();
        }
    }

    /// <summary>Makes the store, which takes over the memory or the file; the builder has done its work.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public ByteStore Build()
    {
        if (_file is null)
            return new MemoryByteStore(Length, _chunks);
        FlushChunk();
        _file.Flush();
        var store = new MappedByteStore(Length, _file);
        _file = null;
        return store;
    }

    /// <summary>Deletes the file of a store that was not made.</summary>
    public void Dispose() => _file?.Dispose();

    // With a file, one chunk is the buffer of all that follows.
    private void StartChunk()
    {
        if (_file is null)
            _chunks.Add(new byte[ChunkBytes]);
        else
            FlushChunk();
        _used = 0;
    }

    private void FlushChunk() => _file!.Write(_chunks[^1], 0, _used);

    private void Spill()
    {
        Directory.CreateDirectory(_folder);
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 0,
            Options = FileOptions.DeleteOnClose,
        };

        // The texts are for nobody else to read.
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        _file = new FileStream(Path.Combine(_folder, $"leap-corpus-{Guid.NewGuid():N}.bin"), options);

        // Without a name the file lives as long as it is open, so that a process that is killed leaves none.
        if (!OperatingSystem.IsWindows())
            File.Delete(_file.Name);
        foreach (byte[] chunk in _chunks.SkipLast(1))
            _file.Write(chunk);
        _chunks.RemoveRange(0, _chunks.Count - 1);
    }
}
