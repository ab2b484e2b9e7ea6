using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A stretch of a stream of token ids: reads ids [Start, Start + Length) and predicts ids [Start + 1, Start + Length + 1).</summary>
internal readonly record struct TokenBlock(long Start, int Length);

/// <summary>Token ids, cut into blocks and arranged in batches for training and evaluation.</summary>
/// <param name="ids">The ids, which must live as long as the blocks.</param>
/// <param name="targetCount">The predicted tokens over all blocks.</param>
internal abstract class TokenBlocks(TokenStore ids, long targetCount)
{
    /// <summary>Gets the number of predicted tokens over all blocks, each counted once.</summary>
    public long TargetCount { get; } = targetCount;

    /// <summary>Gives the number of batches of an epoch, which is the same in all epochs.</summary>
    /// <param name="batchSize">Contexts of tokens that a batch holds.</param>
    public abstract long BatchCount(int batchSize);

    /// <summary>Arranges an epoch for training: all blocks in batches, in an order that the seed and the epoch decide.</summary>
    public abstract TokenBlock[][] Shuffle(int seed, long epoch, int batchSize);

    /// <summary>Gets whether blocks that differ in length may be packed into one sequence.</summary>
    public virtual bool MayPack => false;

    /// <summary>Makes the input ids and targets of the given blocks, one after another: int64 [1, N] each.</summary>
    public (Tensor Inputs, Tensor Targets, PackedDocuments Documents) Pack(ReadOnlySpan<TokenBlock> blocks)
    {
        int[] lengths = new int[blocks.Length];
        for (int i = 0; i < lengths.Length; i++)
            lengths[i] = blocks[i].Length;
        PackedDocuments documents = PackedDocuments.Create(lengths);
        long[] inputs = new long[documents.Starts.Length];
        long[] targets = new long[documents.Starts.Length];
        int[] read = new int[documents.Longest + 1];
        int place = 0;
        foreach ((long start, int length) in blocks)
        {
            ids.Read(start, read.AsSpan(0, length + 1));
            for (int i = 0; i < length; i++, place++)
            {
                inputs[place] = read[i];
                targets[place] = read[i + 1];
            }
        }

        return (tensor(inputs, [1, place]), tensor(targets, [1, place]), documents);
    }

    /// <summary>Gives a batch of training in the parts that go through the network one after another.</summary>
    public virtual IEnumerable<TokenBlock[]> Parts(TokenBlock[] batch) => [batch];

    /// <summary>Gives all blocks in batches for evaluation.</summary>
    public abstract IEnumerable<TokenBlock[]> InBatches(int batchSize);

    /// <summary>Makes the input ids and targets of the given blocks: int64 [B, N] each, N the longest of them. Shorter blocks are
    /// padded at their end, where causal attention cannot see it from a real token, so no mask is needed.</summary>
    public (Tensor Inputs, Tensor Targets, int TargetCount) Batch(ReadOnlySpan<TokenBlock> blocks, Device device)
    {
        int width = 0;
        int count = 0;
        foreach (TokenBlock block in blocks)
        {
            width = Math.Max(width, block.Length);
            count += block.Length;
        }

        long[] inputs = new long[blocks.Length * width];
        long[] targets = new long[blocks.Length * width];
        Array.Fill(targets, LinearCrossEntropy.IgnoredTarget);
        int[] read = new int[width + 1];
        for (int row = 0; row < blocks.Length; row++)
        {
            (long start, int length) = blocks[row];
            ids.Read(start, read.AsSpan(0, length + 1));
            for (int i = 0; i < length; i++)
            {
                inputs[row * width + i] = read[i];
                targets[row * width + i] = read[i + 1];
            }
        }

        long[] shape = [blocks.Length, width];
        return (tensor(inputs, shape, device: device), tensor(targets, shape, device: device), count);
    }
}

/// <summary>How the rows of a text column are laid out for training.</summary>
public enum TrainingLayout
{
    /// <summary>Each row is read by itself, from an end-of-text start, exactly as it is scored. Rows of like length share a batch, and a row
    /// longer than the context is cut at places that are drawn anew each epoch.</summary>
    Rows,

    /// <summary>Rows are joined to one stream with an end-of-text token between them, and the stream is cut into blocks of the context's
    /// length that stay the same in all epochs: the original's form. A row may be read after the end of the one before it.</summary>
    Stream,
}
