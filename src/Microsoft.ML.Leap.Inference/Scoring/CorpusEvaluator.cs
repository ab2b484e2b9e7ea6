using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Predicts blocks that stand for themselves, by a network and a memory.</summary>
/// <param name="blocks">The blocks.</param>
/// <param name="batchSize">Blocks that are computed at a time; <see langword="null"/> leaves the choice to the network.</param>
/// <param name="memory">What predicts beside the network; <see langword="null"/> for the network alone.</param>
/// <returns>For each block, the loss in nats of each id that counts: those after <see cref="EvaluationBlock.FirstScored"/>.</returns>
internal delegate double[][] ComputeLosses(IReadOnlyList<EvaluationBlock> blocks, int? batchSize, ModelMemory? memory);

/// <summary>Evaluates a network over a corpus of any length, in constant memory. One object per call.</summary>
/// <param name="network">The network; reads blocks that carry over what came before.</param>
/// <param name="computeLosses">Predicts all other blocks.</param>
/// <param name="memory">The model's memory, if it has one.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="bigrams">The counts of the training texts, if any.</param>
/// <param name="options">The protocol.</param>
/// <param name="cancellationToken">Ends the call between two batches or documents.</param>
internal sealed class CorpusEvaluator(
    LeapNetwork network, ComputeLosses computeLosses, ModelMemory? memory, LeapTokenizer tokenizer, BigramCounts? bigrams,
    EvaluationOptions options, CancellationToken cancellationToken)
{
    // Blocks that are read ahead, so that a network may put those of like length together.
    private const int ChunkBlocks = 512;

    private readonly ScoreTotals _totals = new(options.PositionBucketSize);

    /// <exception cref="ArgumentException">The options do not fit together, or not the model.</exception>
    /// <exception cref="OperationCanceledException">The evaluation was cancelled.</exception>
    public LanguageModelMetrics Evaluate(IEnumerable<ReadOnlyMemory<char>> texts)
    {
        var corpus = new CorpusBlocks(tokenizer, options, BlockPlan.Create(options, network.Config.ContextLength, tokenizer.EndOfTextId), bigrams);
        IEnumerable<EvaluationBlock> blocks = corpus.Read(texts, cancellationToken);
        if (options.Mode == EvaluationMode.Streaming)
            ScoreInOrder(blocks);
        else
            ScoreInChunks(blocks);

        // A likelihood of a part of the text says nothing about the words and bytes of all of it.
        bool isWhole = options.PredictBlockStarts && !options.DropRemainder;
        CorpusCounts counts = corpus.Counts;
        return new LanguageModelMetrics(
            -_totals.Loss, _totals.Count, isWhole ? counts.Words : 0, isWhole ? counts.Bytes : 0, counts.Documents, _totals.Buckets,
            corpus.Baseline);
    }

    private void ScoreInChunks(IEnumerable<EvaluationBlock> blocks)
    {
        foreach (EvaluationBlock[] chunk in blocks.Chunk(Math.Max(ChunkBlocks, options.BatchSize ?? 1)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            double[][] losses = computeLosses(chunk, options.BatchSize, memory);
            if (memory is not null)
            {
                network.Workers.For(chunk.Length, (long)chunk.Length * chunk[0].Length * TextMemory.Cost, b =>
                    memory.CreateTextMemory().Mix(chunk[b].Ids, chunk[b].FirstScored + 1, losses[b]));
            }

            for (int b = 0; b < chunk.Length; b++)
                Add(chunk[b], losses[b]);
        }
    }

    private void ScoreInOrder(IEnumerable<EvaluationBlock> blocks)
    {
        using NetworkState state = network.CreateState();
        NGramMemory.Reader? reader = memory?.CreateReader();
        TextMemory? textMemory = memory?.CreateTextMemory();
        List<int> read = [];
        foreach (EvaluationBlock block in blocks)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (block.StartsStream)
            {
                state.Reset();
                reader?.Start(block.Ids[0]);
                read = [block.Ids[0]];
            }

            // Learned positions end with the context, so each block counts its own.
            state.Position = 0;
            double[] losses = BlockLosses.Compute(network, block, state, memory, reader);
            if (textMemory is not null)
            {
                read.RemoveRange(0, Math.Max(0, read.Count - TextMemory.Reach));
                read.AddRange(block.Ids.AsSpan(1));
                textMemory.Mix(CollectionsMarshal.AsSpan(read), read.Count - losses.Length, losses);
            }

            Add(block, losses);
        }
    }

    private void Add(EvaluationBlock block, double[] losses)
    {
        for (int i = 0; i < losses.Length; i++)
        {
            int position = block.FirstScored + i;
            if (IsScored(block.Ids[position + 1]))
                _totals.Add(position, losses[i]);
        }
    }

    private bool IsScored(int id) => options.EndOfText != EndOfTextHandling.NotScored || id != tokenizer.EndOfTextId;
}

/// <summary>The losses of blocks by the engine.</summary>
internal static class BlockLosses
{
    // Asks for no prediction.
    private const int NoTarget = -1;

    /// <summary>Gives the losses in nats of the ids that count, of blocks that stand for themselves.</summary>
    /// <param name="network">The network.</param>
    /// <param name="blocks">The blocks, of any lengths.</param>
    /// <param name="memory">What predicts beside it; <see langword="null"/> for the network alone.</param>
    public static double[][] Compute(LeapNetwork network, IReadOnlyList<EvaluationBlock> blocks, ModelMemory? memory) =>
        Compute(network, blocks, null, Mix(memory, blocks, network.Workers));

    /// <summary>Gives the losses in nats of the ids that count, of a block that goes on from others.</summary>
    /// <param name="network">The network.</param>
    /// <param name="block">The block.</param>
    /// <param name="state">What the block goes on from, and leaves behind.</param>
    /// <param name="memory">What predicts beside the network; <see langword="null"/> for the network alone.</param>
    /// <param name="reader">Of that memory: has read the block's first id, and reads the others.</param>
    public static double[] Compute(LeapNetwork network, EvaluationBlock block, NetworkState state, ModelMemory? memory, NGramMemory.Reader? reader) =>
        Compute(network, [block], [state], reader is null ? null : memory?.Mix(Read(block, reader), network.Workers))[0];

    /// <summary>Gives the logits of each id that counts, [V] each.</summary>
    /// <param name="network">The network.</param>
    /// <param name="block">A block that stands for itself.</param>
    public static unsafe float[][] ComputeLogits(LeapNetwork network, EvaluationBlock block)
    {
        float[][] logits = new float[block.Length - block.FirstScored][];
        network.Forward([block.Ids.AsMemory(0, block.Length)], null, (_, first, count, hidden) =>
        {
            for (int i = Math.Max(0, block.FirstScored - first); i < count; i++)
            {
                float[] row = logits[first + i - block.FirstScored] = new float[network.Config.VocabularySize];
                fixed (float* target = row)
                    network.Logits(hidden + (long)i * network.Config.HiddenSize, 1, target);
            }
        });
        return logits;
    }

    /// <summary>Mixes a memory into the logits of blocks that stand for themselves.</summary>
    /// <param name="memory">The memory; <see langword="null"/> for none.</param>
    /// <param name="blocks">The blocks, whose ids that count are the rows.</param>
    /// <param name="workers">The threads to share work among.</param>
    public static LogitMixing? Mix(ModelMemory? memory, IEnumerable<EvaluationBlock> blocks, WorkSharing workers)
    {
        NGramMemory.Reader? reader = memory?.CreateReader();
        return reader is null ? null : memory!.Mix(blocks.SelectMany(ReadAnew), workers);

        IEnumerable<NGramMemory.Reader> ReadAnew(EvaluationBlock block)
        {
            reader.Start(block.Ids[0]);
            return Read(block, reader);
        }
    }

    // Gives the place before each id that counts, when the reader has read that id.
    private static IEnumerable<NGramMemory.Reader> Read(EvaluationBlock block, NGramMemory.Reader reader)
    {
        for (int i = 0; i < block.FirstScored; i++)
            reader.Read(block.Ids[i + 1]);
        for (int i = block.FirstScored; i < block.Length; i++)
        {
            NGramMemory.Reader place = reader.Clone();
            reader.Read(block.Ids[i + 1]);
            yield return place;
        }
    }

    private static double[][] Compute(LeapNetwork network, IReadOnlyList<EvaluationBlock> blocks, IReadOnlyList<NetworkState>? states, LogitMixing? mix)
    {
        double[][] losses = new double[blocks.Count][];
        var sequences = new ReadOnlyMemory<int>[blocks.Count];
        var targets = new ReadOnlyMemory<int>[blocks.Count];
        for (int i = 0; i < blocks.Count; i++)
        {
            EvaluationBlock block = blocks[i];
            losses[i] = new double[block.Length - block.FirstScored];
            sequences[i] = block.Ids.AsMemory(0, block.Length);
            targets[i] = GetTargets(block);
        }

        LossReader read = (sequence, first, part) =>
        {
            int skipped = Math.Clamp(blocks[sequence].FirstScored - first, 0, part.Length);
            part[skipped..].CopyTo(losses[sequence].AsSpan(Math.Max(0, first - blocks[sequence].FirstScored)));
        };
        network.Predict(sequences, targets, states, read, mix);
        return losses;
    }

    private static ReadOnlyMemory<int> GetTargets(EvaluationBlock block)
    {
        if (block.FirstScored == 0)
            return block.Ids.AsMemory(1);
        int[] targets = block.Ids[1..];
        targets.AsSpan(0, block.FirstScored).Fill(NoTarget);
        return targets;
    }
}

/// <summary>Sums up losses, over all and by their positions.</summary>
/// <param name="bucketSize">Positions of a bucket; 0 for no buckets.</param>
internal sealed class ScoreTotals(int bucketSize)
{
    private readonly List<(double Loss, long Count)> _buckets = [];

    /// <summary>Gets the summed losses in nats.</summary>
    public double Loss { get; private set; }

    /// <summary>Gets their number.</summary>
    public long Count { get; private set; }

    /// <summary>Gets the buckets up to the last that has a token.</summary>
    public PositionBucket[] Buckets => [.. _buckets.Select((bucket, i) => new PositionBucket
    {
        FirstPosition = i * bucketSize,
        TokenCount = bucket.Count,
        CrossEntropy = bucket.Loss / bucket.Count,
    })];

    /// <summary>Adds the loss of a token at a position in its block.</summary>
    public void Add(int position, double loss)
    {
        Loss += loss;
        Count++;
        if (bucketSize == 0)
            return;
        int bucket = position / bucketSize;
        while (_buckets.Count <= bucket)
            _buckets.Add(default);
        _buckets[bucket] = (_buckets[bucket].Loss + loss, _buckets[bucket].Count + 1);
    }
}
