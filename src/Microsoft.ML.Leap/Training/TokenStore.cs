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
    public static int IdSizeOf(int vocabularySize) => vocabularySize <= ushort.MaxValue + 1 ? sizeof(ushort) : sizeof(int);

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
