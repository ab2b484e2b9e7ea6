namespace Microsoft.ML.Leap;

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
