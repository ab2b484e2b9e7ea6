using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Token ids, cut into blocks of one length for training and evaluation.</summary>
/// <remarks>Blocks of a stream share their borders: block b reads ids [bN, bN + N) and predicts ids [bN + 1, bN + N + 1), so that every id
/// but the first is predicted exactly once, and the last block may be shorter. Blocks made by <see cref="Separate"/> share nothing.</remarks>
internal sealed class TokenBlocks
{
    private readonly TokenStore _ids;
    private readonly int _length;
    private readonly int _stride;

    /// <summary>Cuts a stream of ids, which must live as long as the blocks.</summary>
    public TokenBlocks(TokenStore ids, int contextLength)
        : this(ids, contextLength, contextLength, Math.Max(0, ids.Count - 1))
    {
    }

    /// <summary>Cuts a stream of ids that are at hand.</summary>
    public TokenBlocks(int[] ids, int contextLength)
        : this(TokenStore.Pack(ids), contextLength)
    {
    }

    private TokenBlocks(TokenStore ids, int length, int stride, long targetCount)
    {
        long count = (targetCount + length - 1) / length;
        if (count > Array.MaxLength)
        {
            throw new InvalidOperationException(
                $"{ids.Count} tokens in blocks of {length} make {count} blocks, but at most {Array.MaxLength} can be shuffled. " +
                "Use a greater ContextLength.");
        }

        _ids = ids;
        _length = length;
        _stride = stride;
        Count = (int)count;
        TargetCount = targetCount;
    }

    /// <summary>Gets the number of blocks; 0 when there is nothing to predict.</summary>
    public int Count { get; }

    /// <summary>Gets the number of predicted tokens over all blocks.</summary>
    public long TargetCount { get; }

    /// <summary>Cuts ids into blocks that stand each for itself: its first id is never predicted, and its last never read. A remainder
    /// is left out.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="size">Ids of a block: at least 2, one more than the network sees.</param>
    public static TokenBlocks Separate(TokenStore ids, int size) => new(ids, size - 1, size, ids.Count / size * (size - 1));

    /// <summary>Gives the number of tokens that a block predicts.</summary>
    public int Length(int block) => (int)Math.Min(_length, TargetCount - (long)block * _length);

    /// <summary>Makes the input ids and targets of the given blocks: int64 [B, N] each, N the longest of them. Shorter blocks are
    /// padded at their end, where causal attention cannot see it from a real token, so no mask is needed.</summary>
    public (Tensor Inputs, Tensor Targets, int TargetCount) Batch(ReadOnlySpan<int> blocks, Device device)
    {
        int width = 0;
        int targetCount = 0;
        foreach (int block in blocks)
        {
            width = Math.Max(width, Length(block));
            targetCount += Length(block);
        }

        long[] inputs = new long[blocks.Length * width];
        long[] targets = new long[blocks.Length * width];
        Array.Fill(targets, LinearCrossEntropy.IgnoredTarget);
        int[] ids = new int[width + 1];
        for (int row = 0; row < blocks.Length; row++)
        {
            int length = Length(blocks[row]);
            _ids.Read((long)blocks[row] * _stride, ids.AsSpan(0, length + 1));
            for (int i = 0; i < length; i++)
            {
                inputs[row * width + i] = ids[i];
                targets[row * width + i] = ids[i + 1];
            }
        }

        long[] shape = [blocks.Length, width];
        return (tensor(inputs, shape, device: device), tensor(targets, shape, device: device), targetCount);
    }
}
