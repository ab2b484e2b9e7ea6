using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Evaluates a network over a corpus of any length, in constant memory. One object a call.</summary>
internal sealed class CorpusEvaluator(
    LeapModel model, LeapTokenizer tokenizer, BigramCounts? bigrams, EvaluationOptions options, int tokensPerBatch,
    CancellationToken cancellationToken)
{
    // Blocks that are read ahead, so that those of like length share a batch.
    private const int ChunkBlocks = 512;

    private readonly ScoreTotals _totals = new(options.PositionBucketSize);

    /// <exception cref="ArgumentException">The options do not fit together, or not the model.</exception>
    /// <exception cref="OperationCanceledException">The evaluation was cancelled.</exception>
    public LanguageModelMetrics Evaluate(IEnumerable<ReadOnlyMemory<char>> texts)
    {
        var corpus = new CorpusBlocks(tokenizer, options, BlockPlan.Of(options, model.Config.ContextLength, tokenizer.EndOfTextId), bigrams);
        IEnumerable<EvaluationBlock> blocks = corpus.Read(texts, cancellationToken);
        if (options.Mode == EvaluationMode.Carried)
            ScoreInOrder(blocks);
        else
            ScoreInBatches(blocks);

        // A likelihood of a part of the text says nothing about the words and bytes of all of it.
        bool isWhole = options.BlocksShareBorders && !options.DropRemainder;
        CorpusCounts counts = corpus.Counts;
        return new LanguageModelMetrics(
            -_totals.Loss, _totals.Count, isWhole ? counts.Words : 0, isWhole ? counts.Bytes : 0, counts.Documents, _totals.Buckets,
            corpus.Baseline);
    }

    private void ScoreInBatches(IEnumerable<EvaluationBlock> blocks)
    {
        foreach (EvaluationBlock[] chunk in blocks.Chunk(Math.Max(ChunkBlocks, options.BatchSize ?? 1)))
        {
            EvaluationBlock[] sorted = [.. chunk.OrderByDescending(block => block.Length)];
            for (int start = 0; start < sorted.Length;)
            {
                int size = Math.Min(options.BatchSize ?? Math.Max(1, tokensPerBatch / sorted[start].Length), sorted.Length - start);
                Score(sorted.AsSpan(start, size), inputs => model.Hidden(inputs, null));
                start += size;
            }
        }
    }

    private void ScoreInOrder(IEnumerable<EvaluationBlock> blocks)
    {
        using RecurrentState state = RecurrentState.Create(model.Config, model.Device);
        foreach (EvaluationBlock block in blocks)
        {
            if (block.StartsStream)
                state.Reset();

            // Learned positions end with the context, so each block counts its own.
            state.Position = 0;
            Score([block], inputs => model.Continue(inputs, [state]));
        }
    }

    // Blocks are padded at their end, where nothing of them sees it.
    private void Score(ReadOnlySpan<EvaluationBlock> blocks, Func<Tensor, Tensor> computeHidden)
    {
        cancellationToken.ThrowIfCancellationRequested();
        int width = blocks[0].Length;
        long[] inputs = new long[blocks.Length * width];
        List<long> rows = [];
        List<long> targets = [];
        for (int b = 0; b < blocks.Length; b++)
        {
            int[] ids = blocks[b].Ids;
            for (int i = 0; i < ids.Length - 1; i++)
            {
                inputs[b * width + i] = ids[i];
                if (i < blocks[b].FirstScored || !IsScored(ids[i + 1]))
                    continue;
                rows.Add(b * width + i);
                targets.Add(ids[i + 1]);
            }
        }

        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        Tensor hidden = computeHidden(tensor(inputs, [blocks.Length, width], device: model.Device)).flatten(0, 1);
        double[] losses = TokenLosses.Of(model, hidden, [.. rows], [.. targets]);
        for (int i = 0; i < losses.Length; i++)
            _totals.Add((int)(rows[i] % width), losses[i]);
    }

    private bool IsScored(int id) => options.EndOfText != EndOfTextHandling.NotScored || id != tokenizer.EndOfTextId;
}
