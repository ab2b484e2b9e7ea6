using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Packs token ids as they come: into chunks of memory, and beyond a limit into a temporary file. Nothing is copied twice.</summary>
internal sealed class TokenStoreBuilder : IDisposable
{
    /// <summary>Bytes of a chunk; a multiple of an id's.</summary>
    public const int ChunkBytes = 1 << 20;

    private readonly int _idSize;
    private readonly long _maximumMemory;
    private readonly string _folder;
    private readonly List<byte[]> _chunks = [];
    private FileStream? _file;
    private long _count;
    private int _used = ChunkBytes;

    /// <param name="vocabularySize">All ids are at least 0 and below it.</param>
    /// <param name="maximumMemory">Bytes of packed ids that may stay in memory.</param>
    /// <param name="folder">Where the file goes; made when absent. <see langword="null"/> for the system's folder.</param>
    public TokenStoreBuilder(int vocabularySize, long maximumMemory = long.MaxValue, string? folder = null)
    {
        _idSize = TokenStore.IdSizeOf(vocabularySize);
        _maximumMemory = maximumMemory;
        _folder = folder ?? Path.GetTempPath();
    }

    /// <summary>Gets the number of ids so far.</summary>
    public long Count => _count;

    /// <summary>Adds ids at the end.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Append(ReadOnlySpan<int> ids)
    {
        while (!ids.IsEmpty)
        {
            if (_used == ChunkBytes)
                StartChunk();
            int size = Math.Min(ids.Length, (ChunkBytes - _used) / _idSize);
            Pack(ids[..size], _chunks[^1].AsSpan(_used));
            _used += size * _idSize;
            _count += size;
            ids = ids[size..];
            if (_file is null && _count * _idSize > _maximumMemory)
                Spill();
        }
    }

    /// <summary>Makes the store, which takes over the memory or the file; the builder has done its work.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public TokenStore Build()
    {
        if (_file is null)
            return new MemoryTokenStore(_count, _idSize, _chunks);
        FlushChunk();
        _file.Flush();
        var store = new MappedTokenStore(_count, _idSize, _file);
        _file = null;
        return store;
    }

    /// <summary>Deletes the file of a store that was not made.</summary>
    public void Dispose() => _file?.Dispose();

    private void Pack(ReadOnlySpan<int> ids, Span<byte> destination)
    {
        if (_idSize == sizeof(int))
        {
            MemoryMarshal.AsBytes(ids).CopyTo(destination);
            return;
        }

        Span<ushort> packed = MemoryMarshal.Cast<byte, ushort>(destination);
        for (int i = 0; i < ids.Length; i++)
            packed[i] = checked((ushort)ids[i]);
    }

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
        _file = new FileStream(
            Path.Combine(_folder, $"leap-corpus-{Guid.NewGuid():N}.bin"),
            new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 0,
                Options = FileOptions.DeleteOnClose,
            });
        foreach (byte[] chunk in _chunks.SkipLast(1))
            _file.Write(chunk);
        _chunks.RemoveRange(0, _chunks.Count - 1);
    }
}
