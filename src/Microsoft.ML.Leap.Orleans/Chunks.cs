using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Microsoft.ML.Leap;

/// <summary>What travels in chunks.</summary>
internal enum BlobKind
{
    /// <summary>What the workers agree upon, from the worker that decides it, and then to all.</summary>
    Plan,

    /// <summary>The shared weights in single precision: the first ones to the run, later ones to a worker that has none.</summary>
    Weights,

    /// <summary>The shared weights less a worker's, to the run.</summary>
    Difference,

    /// <summary>The change of the shared weights after a round, to the workers.</summary>
    Change,
}

/// <summary>A part of a blob, small beside the largest message of Orleans, with a sum over it and its place.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record Chunk([property: Id(0)] BlobKind Kind, [property: Id(1)] int Round, [property: Id(2)] int Index, [property: Id(3)] int Count,
    [property: Id(4)] byte[] Bytes, [property: Id(5)] byte[] Sum)
{
    /// <summary>The most bytes of a chunk.</summary>
    public const int MaximumLength = 1 << 20;

    // 16 GiB.
    private const int MaximumCount = 1 << 14;

    /// <summary>Counts the chunks of a blob.</summary>
    public static int CountOf(int length) => Math.Max(1, (length + MaximumLength - 1) / MaximumLength);

    /// <summary>Cuts a chunk out of a blob.</summary>
    public static Chunk Cut(BlobKind kind, int round, ReadOnlySpan<byte> blob, int index)
    {
        int start = index * MaximumLength;
        int count = CountOf(blob.Length);
        byte[] bytes = blob.Slice(start, Math.Min(MaximumLength, blob.Length - start)).ToArray();
        return new Chunk(kind, round, index, count, bytes, ComputeSum(kind, round, index, count, bytes));
    }

    /// <summary>Gets whether it is as it was sent.</summary>
    public bool IsWhole =>
        Bytes is not null && Sum is not null && Count is >= 1 and <= MaximumCount && Index >= 0 && Index < Count && Bytes.Length <= MaximumLength &&
        ComputeSum(Kind, Round, Index, Count, Bytes).AsSpan().SequenceEqual(Sum);

    private static byte[] ComputeSum(BlobKind kind, int round, int index, int count, byte[] bytes)
    {
        Span<byte> place = stackalloc byte[4 * sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(place, (int)kind);
        BinaryPrimitives.WriteInt32LittleEndian(place[4..], round);
        BinaryPrimitives.WriteInt32LittleEndian(place[8..], index);
        BinaryPrimitives.WriteInt32LittleEndian(place[12..], count);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(place);
        hash.AppendData(bytes);
        return hash.GetHashAndReset();
    }
}

/// <summary>Puts the chunks of a blob together, whatever their order. A chunk that comes twice counts once.</summary>
internal sealed class ChunkCollector
{
    private Chunk?[] _chunks = [];

    /// <summary>Gets whether all chunks are there.</summary>
    public bool IsComplete => _chunks.Length > 0 && Array.TrueForAll(_chunks, chunk => chunk is not null);

    /// <summary>Takes a chunk.</summary>
    /// <returns>Whether it is whole; a damaged one, or one of another blob, changes nothing.</returns>
    public bool TryAdd(Chunk chunk)
    {
        if (!chunk.IsWhole || (_chunks.Length > 0 && _chunks.Length != chunk.Count))
            return false;
        if (_chunks.Length == 0)
            _chunks = new Chunk?[chunk.Count];
        _chunks[chunk.Index] = chunk;
        return true;
    }

    /// <summary>Gives the blob, when it is complete.</summary>
    public byte[] ToArray()
    {
        byte[] blob = new byte[_chunks.Sum(chunk => chunk!.Bytes.Length)];
        int length = 0;
        foreach (Chunk? chunk in _chunks)
        {
            chunk!.Bytes.CopyTo(blob, length);
            length += chunk.Bytes.Length;
        }

        return blob;
    }
}
