using System.Buffers;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A sequence of token ids in compact form: 2 bytes per id where the vocabulary allows, else 4. Read-only and thread-safe.</summary>
/// <param name="bytes">The packed ids, in the machine's own order; disposed with the store.</param>
/// <param name="idSize">Bytes of one id: 2 or 4.</param>
internal sealed class TokenStore(ByteStore bytes, int idSize) : IDisposable
{
    /// <summary>Gets the number of ids, which may be beyond 32 bits.</summary>
    public long Count { get; } = bytes.Length / idSize;

    /// <summary>Gets the bytes of one id: 2 or 4.</summary>
    public int IdSize => idSize;

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

        if (idSize == sizeof(int))
        {
            bytes.Read(start * sizeof(int), MemoryMarshal.AsBytes(destination));
            return;
        }

        ushort[] packed = ArrayPool<ushort>.Shared.Rent(destination.Length);
        bytes.Read(start * sizeof(ushort), MemoryMarshal.AsBytes(packed.AsSpan(0, destination.Length)));
        for (int i = 0; i < destination.Length; i++)
            destination[i] = packed[i];
        ArrayPool<ushort>.Shared.Return(packed);
    }

    /// <summary>Frees the store, and its file where it has one.</summary>
    public void Dispose() => bytes.Dispose();
}

/// <summary>Packs token ids as they come.</summary>
internal sealed class TokenStoreBuilder : IDisposable
{
    private readonly ByteStoreBuilder _bytes;
    private readonly int _idSize;

    /// <param name="vocabularySize">All ids are at least 0 and below it.</param>
    /// <param name="maximumMemory">Bytes of packed ids that may stay in memory; more go into a temporary file.</param>
    /// <param name="folder">Where the file goes; made when absent. <see langword="null"/> for the system's folder.</param>
    public TokenStoreBuilder(int vocabularySize, long maximumMemory = long.MaxValue, string? folder = null)
    {
        _bytes = new ByteStoreBuilder(maximumMemory, folder);
        _idSize = TokenStore.GetIdSize(vocabularySize);
    }

    /// <summary>Gets the number of ids so far.</summary>
    public long Count => _bytes.Length / _idSize;

    /// <summary>Adds ids at the end.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Append(ReadOnlySpan<int> ids)
    {
        if (_idSize == sizeof(int))
        {
            _bytes.Append(MemoryMarshal.AsBytes(ids));
            return;
        }

        Span<ushort> packed = stackalloc ushort[512];
        while (!ids.IsEmpty)
        {
            int count = Math.Min(ids.Length, packed.Length);
            for (int i = 0; i < count; i++)
                packed[i] = checked((ushort)ids[i]);
            _bytes.Append(MemoryMarshal.AsBytes(packed[..count]));
            ids = ids[count..];
        }
    }

    /// <summary>Makes the store, which takes over the memory or the file; the builder has done its work.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public TokenStore Build() => new(_bytes.Build(), _idSize);

    /// <summary>Deletes the file of a store that was not made.</summary>
    public void Dispose() => _bytes.Dispose();
}
