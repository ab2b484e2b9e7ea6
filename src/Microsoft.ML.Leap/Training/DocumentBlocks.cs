namespace Microsoft.ML.Leap;

/// <summary>Documents as blocks of their own: each is read from the end-of-text token before it, as it is when it is scored, and predicts
/// its tokens and the end-of-text token after it. A document longer than the context is cut at places that are drawn anew each epoch.</summary>
internal sealed class DocumentBlocks(TokenizedCorpus corpus, int contextLength) : TokenBlocks(corpus.Ids, corpus.Ids.Count - 1)
{
    // Blocks of so many batches are sorted by length together: enough for little padding, few enough for batches that differ each epoch.
    private const int BatchesSortedTogether = 32;

    // Rounded down, so that a batch's share of the tokens is no less than a block, and none stays empty. The cuts change the number of
    // blocks, but not that of the tokens.
    public override long BatchCount(int batchSize) => Math.Max(1, TargetCount / ((long)batchSize * contextLength));

    /// <inheritdoc/>
    /// <remarks>All batches hold about as many tokens, at least as many as the wanted contexts, in blocks of like length.</remarks>
    public override TokenBlock[][] Shuffle(int seed, long epoch, int batchSize)
    {
        TokenBlock[] blocks = [.. Cut(new Random(unchecked((int)RandomSeed.Derive(seed, long.MinValue + epoch))))];
        long batchCount = BatchCount(batchSize);
        int together = (int)Math.Min(blocks.Length, (blocks.LongLength * BatchesSortedTogether + batchCount - 1) / batchCount);
        TokenBlock[][] batches = Split(
            RandomSeed.Order(seed, epoch, blocks.Length).Select(index => blocks[index]).Chunk(together)
                .SelectMany(some => some.OrderBy(block => block.Length)),
            batchCount);
        return [.. RandomSeed.Order(seed, long.MaxValue - epoch, batches.Length).Select(batch => batches[batch])];
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
