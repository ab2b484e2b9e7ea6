using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A stream of token ids, cut into blocks of the context length for training and evaluation.</summary>
/// <remarks>Block b reads ids [bN, bN + N) and predicts ids [bN + 1, bN + N + 1), so that every id but the first is predicted exactly
/// once. The last block may be shorter.</remarks>
internal sealed class TokenBlocks
{
    /// <summary>The target of a padded position: cross-entropy leaves it out.</summary>
    public const long IgnoredTarget = -100;

    private readonly int[] _ids;
    private readonly int _contextLength;

    public TokenBlocks(int[] ids, int contextLength)
    {
        _ids = ids;
        _contextLength = contextLength;
        Count = (TargetCount + contextLength - 1) / contextLength;
    }

    /// <summary>Number of blocks; 0 when there is nothing to predict.</summary>
    public int Count { get; }

    /// <summary>Number of predicted tokens over all blocks.</summary>
    public int TargetCount => Math.Max(0, _ids.Length - 1);

    public int Length(int block) => Math.Min(_contextLength, TargetCount - block * _contextLength);

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
        Array.Fill(targets, IgnoredTarget);
        for (int row = 0; row < blocks.Length; row++)
        {
            int start = blocks[row] * _contextLength;
            for (int i = 0; i < Length(blocks[row]); i++)
            {
                inputs[row * width + i] = _ids[start + i];
                targets[row * width + i] = _ids[start + i + 1];
            }
        }

        long[] shape = [blocks.Length, width];
        return (tensor(inputs, shape, device: device), tensor(targets, shape, device: device), targetCount);
    }
}
