using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A sequence of token ids in compact form: 2 bytes an id where the vocabulary allows, else 4. Read-only and thread-safe.</summary>
internal abstract class TokenStore(long count, int idSize) : IDisposable
{
    /// <summary>Gets the number of ids, which may be beyond 32 bits.</summary>
    public long Count { get; } = count;

    /// <summary>Gets the bytes of one id: 2 or 4.</summary>
    public int IdSize { get; } = idSize;

    /// <summary>Gives the bytes that each id of a vocabulary needs.</summary>
    public static int GetIdSize(int vocabularySize) => vocabularySize <= ushort.MaxValue + 1 ? sizeof(ushort) : sizeof(int);

    /// <summary>Packs ids that are at hand, each at least 0.</summary>
    public static TokenStore Pack(ReadOnlySpan<int> ids)
    {
        int largest = 0;
        foreach (int id in ids)
            largest = Math.Max(largest, id);
        using var builder = new TokenStoreBuilder(largest == int.MaxValue ? largest : largest + 1);
        builder.Append(ids);
        return builder.Build();
    }

    /// <summary>Reads ids [<paramref name="start"/>, start + the destination's length).</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not all in the store.</exception>
    public void Read(long start, Span<int> destination)
    {
        if (start < 0 || start > Count - destination.Length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(start), start, $"start must be from 0 to {Count - destination.Length}, to read {destination.Length} of {Count} ids.");
        }

        if (IdSize == sizeof(int))
        {
            ReadBytes(start * sizeof(int), MemoryMarshal.AsBytes(destination));
            return;
        }

        ushort[] packed = ArrayPool<ushort>.Shared.Rent(destination.Length);
        ReadBytes(start * sizeof(ushort), MemoryMarshal.AsBytes(packed.AsSpan(0, destination.Length)));
        for (int i = 0; i < destination.Length; i++)
            destination[i] = packed[i];
        ArrayPool<ushort>.Shared.Return(packed);
    }

    /// <summary>Frees the store, and its file where it has one.</summary>
    public abstract void Dispose();

    /// <summary>Reads bytes of the packed ids, in the machine's own order.</summary>
    protected abstract void ReadBytes(long offset, Span<byte> destination);
}

/// <summary>Token ids in memory, in chunks of <see cref="TokenStoreBuilder.ChunkBytes"/>.</summary>
internal sealed class MemoryTokenStore(long count, int idSize, IReadOnlyList<byte[]> chunks) : TokenStore(count, idSize)
{
    public override void Dispose()
    {
    }

    protected override void ReadBytes(long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            (long chunk, long start) = Math.DivRem(offset, TokenStoreBuilder.ChunkBytes);
            int size = Math.Min(destination.Length, TokenStoreBuilder.ChunkBytes - (int)start);
            chunks[(int)chunk].AsSpan((int)start, size).CopyTo(destination);
            destination = destination[size..];
            offset += size;
        }
    }
}

/// <summary>Token ids in a memory-mapped file: the system keeps as much of it in memory as there is room.</summary>
internal sealed class MappedTokenStore : TokenStore
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    /// <param name="count">Number of ids.</param>
    /// <param name="idSize">Bytes of one id.</param>
    /// <param name="stream">The file, which closes with the store.</param>
    public MappedTokenStore(long count, int idSize, FileStream stream)
        : base(count, idSize)
    {
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, count * idSize, MemoryMappedFileAccess.Read);
    }

    public override void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    protected override void ReadBytes(long offset, Span<byte> destination) =>
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_view.PointerOffset + offset), destination);
}

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
        _idSize = TokenStore.GetIdSize(vocabularySize);
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
