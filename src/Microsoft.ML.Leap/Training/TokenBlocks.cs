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

    /// <summary>Reads a block's ids: the first is read alone, and each further one is predicted from those before it.</summary>
    public int[] Read(TokenBlock block)
    {
        int[] read = new int[block.Length + 1];
        ids.Read(block.Start, read);
        return read;
    }

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

/// <summary>Documents as blocks of their own: each is read from the end-of-text token before it, as it is when it is scored, and predicts
/// its tokens and the end-of-text token after it. A document longer than the context is cut at places that are drawn anew each epoch.</summary>
internal sealed class DocumentBlocks(TokenizedCorpus corpus, int contextLength) : TokenBlocks(corpus.Ids, corpus.Ids.Count - 1)
{
    // What a part costs beside its tokens, in tokens: calls of small operations. A rough figure: 150 and 300 did not differ beyond noise.
    private const long TokensPerPart = 200;

    // Rounded down, so that a batch's share of the tokens is no less than a block, and none stays empty. The cuts change the number of
    // blocks, but not that of the tokens.
    public override long BatchCount(int batchSize) => Math.Max(1, TargetCount / ((long)batchSize * contextLength));

    /// <inheritdoc/>
    /// <remarks>All batches hold about as many tokens, at least as many as the wanted contexts. Blocks of like length do not seek each other:
    /// texts of one length are often of one kind, and steps that see one kind at a time learn less.</remarks>
    public override TokenBlock[][] Shuffle(int seed, long epoch, int batchSize)
    {
        TokenBlock[] blocks = [.. Cut(new Random(unchecked((int)RandomSeed.Derive(seed, long.MinValue + epoch))))];
        return Split(RandomSeed.Order(seed, epoch, blocks.Length).Select(index => blocks[index]), BatchCount(batchSize));
    }

    public override bool MayPack => true;

    /// <inheritdoc/>
    /// <remarks>Blocks of like length go together, in the parts that cost least: padding against the cost of a part.</remarks>
    public override IEnumerable<TokenBlock[]> Parts(TokenBlock[] batch)
    {
        TokenBlock[] sorted = [.. batch.OrderByDescending(block => block.Length)];

        // cost[i]: of the blocks from i on; the best part among them that begins with i ends before end[i].
        long[] cost = new long[sorted.Length + 1];
        int[] end = new int[sorted.Length];
        for (int i = sorted.Length - 1; i >= 0; i--)
        {
            cost[i] = long.MaxValue;
            for (int j = i + 1; j <= sorted.Length; j++)
            {
                long tokens = TokensPerPart + (long)(j - i) * sorted[i].Length + cost[j];
                if (tokens < cost[i])
                    (cost[i], end[i]) = (tokens, j);
            }
        }

        for (int i = 0; i < sorted.Length; i = end[i])
            yield return sorted[i..end[i]];
    }

    public override IEnumerable<TokenBlock[]> InBatches(int batchSize) =>
        Split(Cut(random: null).OrderBy(block => block.Length), BatchCount(batchSize));

    // Each batch takes the blocks that begin in its share of the tokens.
    private TokenBlock[][] Split(IEnumerable<TokenBlock> blocks, long batchCount)
    {
        var batches = new List<TokenBlock>[batchCount];
        long tokens = 0;
        foreach (TokenBlock block in blocks)
        {
            (batches[(long)((Int128)tokens * batchCount / TargetCount)] ??= []).Add(block);
            tokens += block.Length;
        }

        return [.. batches.Select(batch => batch.ToArray())];
    }

    private IEnumerable<TokenBlock> Cut(Random? random)
    {
        for (int document = 0; document < corpus.DocumentCount; document++)
        {
            (long start, long length) = corpus.Document(document);
            int next = random is null || length <= contextLength ? contextLength : random.Next(1, contextLength + 1);
            for (long done = 0; done < length; next = contextLength)
            {
                var block = new TokenBlock(start + done, (int)Math.Min(next, length - done));
                done += block.Length;
                yield return block;
            }
        }
    }
}
