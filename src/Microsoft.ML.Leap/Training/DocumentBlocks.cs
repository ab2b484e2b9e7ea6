namespace Microsoft.ML.Leap;

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
