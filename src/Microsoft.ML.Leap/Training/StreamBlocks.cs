namespace Microsoft.ML.Leap;

/// <summary>A stream of ids in blocks of one length that stay the same in all epochs: the original's form.</summary>
/// <remarks>Blocks share their borders, so that every id but the first is predicted exactly once, and the last block may be shorter.
/// Blocks made by <see cref="Separate"/> share nothing.</remarks>
internal sealed class StreamBlocks : TokenBlocks
{
    private readonly int _length;
    private readonly int _stride;

    /// <summary>Cuts a stream of ids, which must live as long as the blocks.</summary>
    public StreamBlocks(TokenStore ids, int contextLength)
        : this(ids, contextLength, contextLength, Math.Max(0, ids.Count - 1))
    {
    }

    /// <summary>Cuts a stream of ids that are at hand.</summary>
    public StreamBlocks(int[] ids, int contextLength)
        : this(TokenStore.Pack(ids), contextLength)
    {
    }

    private StreamBlocks(TokenStore ids, int length, int stride, long targetCount)
        : base(ids, targetCount)
    {
        long count = (targetCount + length - 1) / length;
        if (count > Array.MaxLength)
        {
            throw new InvalidOperationException(
                $"{ids.Count} tokens in blocks of {length} make {count} blocks, but at most {Array.MaxLength} can be shuffled. " +
                "Use a greater ContextLength.");
        }

        _length = length;
        _stride = stride;
        Count = (int)count;
    }

    /// <summary>Gets the number of blocks; 0 when there is nothing to predict.</summary>
    public int Count { get; }

    /// <summary>Gets a block.</summary>
    public TokenBlock this[int index] => new((long)index * _stride, (int)Math.Min(_length, TargetCount - (long)index * _length));

    /// <summary>Cuts ids into blocks that stand each for itself: its first id is never predicted, and its last never read. A remainder
    /// is left out.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="size">Ids of a block: at least 2, one more than the network sees.</param>
    public static StreamBlocks Separate(TokenStore ids, int size) => new(ids, size - 1, size, ids.Count / size * (size - 1));

    public override long BatchCount(int batchSize) => ((long)Count + batchSize - 1) / batchSize;

    public override TokenBlock[][] Shuffle(int seed, long epoch, int batchSize) =>
        [.. RandomSeed.Order(seed, epoch, Count).Select(index => this[index]).Chunk(batchSize)];

    public override IEnumerable<TokenBlock[]> InBatches(int batchSize) =>
        Enumerable.Range(0, Count).Select(index => this[index]).Chunk(batchSize);
}
