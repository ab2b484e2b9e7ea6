namespace Microsoft.ML.Leap;

/// <summary>The network, in evaluation: reads tokens of several sequences, any number of each at a time. Thread-safe; states are not.</summary>
/// <remarks>What is computed for a sequence does not depend, to the bit, on what is computed with it, on how it is cut into
/// pieces, or on the number of threads.</remarks>
internal sealed unsafe partial class LeapNetwork : IDisposable
{
    /// <summary>Tokens that are worked through at once: enough for fast products, and a bound for memory.</summary>
    public const int DefaultChunkLength = 2048;

    private readonly NetworkWeights _weights;
    private readonly LeapAttention _attention;
    private readonly OutputLayer _output;
    private readonly WorkSharing _workers;
    private readonly int _chunkLength;
    private readonly List<Scratch> _idle = [];
    private readonly UseCount _uses;
    private byte[]? _fingerprint;

    /// <param name="config">The network's shape.</param>
    /// <param name="weights">Its tensors by their names in checkpoints, row after row.</param>
    /// <param name="format">How weights are to lie in memory.</param>
    /// <param name="threadCount">Threads to use at most; 0 for as many as there are processors.</param>
    /// <exception cref="ArgumentException">A tensor is missing or of another size.</exception>
    public LeapNetwork(
        LeapConfig config, IReadOnlyDictionary<string, float[]> weights, WeightFormat format = WeightFormat.Float32, int threadCount = 0)
        : this(config, weights, format, threadCount, DefaultChunkLength)
    {
    }

    /// <param name="config">The network's shape.</param>
    /// <param name="weights">Its tensors by their names in checkpoints, row after row.</param>
    /// <param name="format">How weights are to lie in memory.</param>
    /// <param name="threadCount">Threads to use at most; 0 for as many as there are processors.</param>
    /// <param name="chunkLength">Tokens to work through at once.</param>
    /// <param name="packed">Matrices that lie in memory so already, by name; they are not among <paramref name="weights"/>.</param>
    internal LeapNetwork(
        LeapConfig config, IReadOnlyDictionary<string, float[]> weights, WeightFormat format, int threadCount, int chunkLength,
        IReadOnlyDictionary<string, PackedMatrix>? packed = null)
    {
        Config = config;
        Format = format;
        _workers = new WorkSharing(threadCount);
        _weights = new NetworkWeights(config, weights, format, packed);
        _attention = new LeapAttention(config);
        _output = new OutputLayer(_weights.Output, _workers);
        _chunkLength = chunkLength;
        _uses = new UseCount(Free);
    }

    public LeapConfig Config { get; }

    public WeightFormat Format { get; }

    /// <summary>Gets what shares work out among the threads.</summary>
    public WorkSharing Workers => _workers;

    /// <summary>Gets the memory that the weights take.</summary>
    public long SizeInBytes => _weights.SizeInBytes;

    /// <summary>Gives what tells this network from others; computed once.</summary>
    /// <param name="compute">Computes it of the shape and the weights.</param>
    public byte[] GetFingerprint(Func<LeapConfig, IReadOnlyDictionary<string, float[]>, byte[]> compute)
    {
        if (_fingerprint is null)
            Interlocked.CompareExchange(ref _fingerprint, compute(Config, GetWeights()), null);
        return _fingerprint;
    }

    /// <summary>Gives the weights by their names in checkpoints, row after row: with <see cref="WeightFormat.Float32"/> those that came in,
    /// bit for bit.</summary>
    public Dictionary<string, float[]> GetWeights()
    {
        using UseCount.Use use = _uses.Begin(this);
        return _weights.Unpack();
    }

    /// <summary>Makes the state before the first token.</summary>
    public NetworkState CreateState() => new(Config);

    /// <summary>Reads tokens.</summary>
    /// <param name="sequences">Token ids of each sequence, at least one.</param>
    /// <param name="states">What each sequence goes on from, and takes along; null where all begin here and none goes on.</param>
    /// <param name="read">Takes what the output layer sees. Called for each sequence in turn, and for a long one part by part.</param>
    /// <param name="observe">Takes what each layer computes, a part of a sequence at a time; null where nobody asks.</param>
    public void Forward(
        IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<NetworkState>? states, HiddenReader read, LayerReader? observe = null)
    {
        using UseCount.Use use = _uses.Begin(this);
        Require(sequences, states);
        ForEachChunk(sequences, states, scratch =>
        {
            RunChunk(scratch, observe);
            foreach (Part part in scratch.Parts)
                read(part.Sequence, part.FirstToken, part.Count, scratch.GetNormed(part.Row));
        });
    }

    /// <summary>Reads one more token of each of several sequences.</summary>
    /// <param name="ids">A token id per sequence.</param>
    /// <param name="states">The sequences' states.</param>
    /// <param name="hidden">What the output layer sees of each, [d].</param>
    public void Step(ReadOnlySpan<int> ids, IReadOnlyList<NetworkState> states, float[][] hidden)
    {
        int[] tokens = ids.ToArray();
        var sequences = new ReadOnlyMemory<int>[tokens.Length];
        for (int i = 0; i < tokens.Length; i++)
            sequences[i] = tokens.AsMemory(i, 1);
        Forward(sequences, states, (sequence, _, _, values) => new ReadOnlySpan<float>(values, Config.HiddenSize).CopyTo(hidden[sequence]));
    }

    /// <summary>Reads tokens of one sequence.</summary>
    /// <param name="ids">At least one token id.</param>
    /// <param name="state">What the sequence goes on from, and takes along.</param>
    /// <param name="hidden">What the output layer sees at the last token, [d].</param>
    public void Read(ReadOnlySpan<int> ids, NetworkState state, Span<float> hidden)
    {
        int d = Config.HiddenSize;
        int length = ids.Length;
        fixed (float* last = hidden[..d])
        {
            float* target = last;
            Forward([ids.ToArray()], [state], (_, first, count, values) =>
            {
                if (first + count == length)
                    new ReadOnlySpan<float>(values + (count - 1L) * d, d).CopyTo(new Span<float>(target, d));
            });
        }
    }

    /// <summary>Computes the logits of the next token.</summary>
    /// <param name="hidden">What the output layer sees, [d] per row.</param>
    /// <param name="logits">Where they go, [V] per row.</param>
    public void Logits(float[][] hidden, float[][] logits)
    {
        using UseCount.Use use = _uses.Begin(this);
        _output.WriteLogits(hidden, logits);
    }

    /// <inheritdoc cref="Logits(float[][], float[][])"/>
    /// <param name="hidden">[count, d].</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="logits">[count, V].</param>
    public void Logits(float* hidden, int count, float* logits)
    {
        using UseCount.Use use = _uses.Begin(this);
        _output.WriteLogits(hidden, count, logits);
    }

    /// <summary>Predicts with <c>softmax(hidden W^T + bias)</c>, with few logits in memory at a time.</summary>
    /// <param name="hidden">[count, d].</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="targets">The id that follows each row.</param>
    /// <param name="losses">The negative logarithm of each target's probability in nats, [count].</param>
    /// <param name="mix">What is mixed into the logits; null for nothing.</param>
    public void Predict(float* hidden, int count, ReadOnlySpan<int> targets, Span<double> losses, LogitMixing? mix = null)
    {
        using UseCount.Use use = _uses.Begin(this);
        _output.WriteLosses(hidden, count, targets, losses, mix);
    }

    /// <summary>Reads tokens, and predicts those that follow, with one pass over the output layer for many short
    /// sequences.</summary>
    /// <param name="sequences">Token ids of each sequence, at least one.</param>
    /// <param name="targets">The id that follows each token, or -1 where its prediction is not asked for.</param>
    /// <param name="states">What each sequence goes on from, and takes along; null where all begin here and none goes on.</param>
    /// <param name="read">Takes losses. Called for each sequence in turn, and for a long one part by part.</param>
    /// <param name="mix">What is mixed into the logits, of one sequence after another; null for nothing.</param>
    public void Predict(
        IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<ReadOnlyMemory<int>> targets, IReadOnlyList<NetworkState>? states,
        LossReader read, LogitMixing? mix = null)
    {
        using UseCount.Use use = _uses.Begin(this);
        Require(sequences, states);
        for (int i = 0; i < sequences.Count; i++)
        {
            if (targets[i].Length != sequences[i].Length)
                throw new ArgumentException($"Sequence {i} has {sequences[i].Length} tokens, but {targets[i].Length} targets.", nameof(targets));
        }

        ForEachChunk(sequences, states, scratch =>
        {
            RunChunk(scratch, null);
            int d = Config.HiddenSize;

            // Rows with a target move up to where those without were.
            int count = 0;
            int[] ids = new int[scratch.Count];
            foreach (Part part in scratch.Parts)
            {
                ReadOnlySpan<int> partTargets = targets[part.Sequence].Span.Slice(part.FirstToken, part.Count);
                for (int i = 0; i < part.Count; i++)
                {
                    if (partTargets[i] < 0)
                        continue;
                    new ReadOnlySpan<float>(scratch.GetNormed(part.Row + i), d).CopyTo(new Span<float>(scratch.GetNormed(count), d));
                    ids[count++] = partTargets[i];
                }
            }

            double[] computed = new double[count];
            double[] losses = new double[scratch.Count];
            _output.WriteLosses(scratch.GetNormed(0), count, ids.AsSpan(0, count), computed, mix);
            int next = 0;
            foreach (Part part in scratch.Parts)
            {
                ReadOnlySpan<int> partTargets = targets[part.Sequence].Span.Slice(part.FirstToken, part.Count);
                for (int i = 0; i < part.Count; i++)
                    losses[i] = partTargets[i] < 0 ? 0 : computed[next++];
                read(part.Sequence, part.FirstToken, losses.AsSpan(0, part.Count));
            }
        });
    }

    public void Dispose() => _uses.Release();

    // The equations: a chunk's tokens, all sequences end to end, through all layers.
    private void RunChunk(Scratch scratch, LayerReader? observe)
    {
        int d = Config.HiddenSize;
        _workers.ForRows(scratch.Count, 16 * d, (row, count) => Embed(scratch, row, count));
        for (int l = 0; l < _weights.Blocks.Length; l++)
        {
            int layer = l;
            NetworkWeights.Block block = _weights.Blocks[l];
            ForNormedRows(
                scratch,
                (row, count) => block.PreNorm.Run(scratch.GetX(row), scratch.GetNormed(row), count),
                block.PreConvolution,
                (long)Config.ProjectionsSize * d,
                (row, count, n) => block.Projections.Multiply(n, count, scratch.GetProjections(row)));

            // One sequence's heads are shared out only where there are fewer sequences than threads.
            int groups = Math.Min(Config.HeadCount, (_workers.ThreadCount + scratch.Parts.Count - 1) / scratch.Parts.Count);
            _workers.For(scratch.Parts.Count * groups, 64L * d * scratch.Count, i =>
                Attend(scratch, layer, scratch.Parts[i / groups], i % groups, groups));

            ForNormedRows(
                scratch,
                (row, count) =>
                {
                    float* x = scratch.GetX(row);
                    float* n = scratch.GetNormed(row);
                    VectorMath.Add(x, scratch.GetAttended(row), (long)count * d);
                    block.PreNorm.Run(x, n, count);
                    block.BoomNorm.Run(n, n, count);
                },
                block.BoomConvolution,
                2L * Config.FeedForwardSize * d,
                (row, count, n) =>
                {
                    float* inner = scratch.GetFedForward(row);
                    block.Boom.Multiply(n, count, inner);
                    VectorMath.Gelu(inner, count * Config.FeedForwardSize);
                    block.Unboom.Multiply(inner, count, n);
                    VectorMath.Add(scratch.GetX(row), n, (long)count * d);
                });

            if (observe is not null)
                Observe(scratch, layer, observe);
        }

        _workers.ForRows(scratch.Count, 16 * d, (row, count) => _weights.LastNorm.Run(scratch.GetX(row), scratch.GetNormed(row), count));
        foreach (Part part in scratch.Parts)
        {
            if (part.State is not null)
                part.State.Position += part.Count;
        }
    }

    private delegate void NormedRows(int row, int count, float* n);

    // A norm of all rows, and the products that follow. Only a convolution, which sees other rows, has to wait until all norms are there.
    private void ForNormedRows(
        Scratch scratch, Action<int, int> normalize, ShortConvolution? convolution, long multiplicationsPerRow, NormedRows multiply)
    {
        if (convolution is null)
        {
            _workers.ForRows(scratch.Count, multiplicationsPerRow, (row, count) =>
            {
                normalize(row, count);
                multiply(row, count, scratch.GetNormed(row));
            });
            return;
        }

        _workers.ForRows(scratch.Count, 16 * Config.HiddenSize, normalize);
        _workers.ForRows(scratch.Count, multiplicationsPerRow, (row, count) =>
        {
            convolution.Run(scratch, row, count);
            multiply(row, count, scratch.GetAttended(row));
        });
        convolution.Remember(scratch);
    }

    private void Embed(Scratch scratch, int row, int count)
    {
        int d = Config.HiddenSize;
        for (int i = row; i < row + count; i++)
        {
            _weights.Output.ReadRow(scratch.Ids[i], new Span<float>(scratch.GetX(i), d));
            if (_weights.Positions is null)
                continue;
            _weights.Positions.ReadRow(scratch.Positions[i], new Span<float>(scratch.GetNormed(i), d));
            VectorMath.Add(scratch.GetX(i), scratch.GetNormed(i), d);
        }
    }

    private void Attend(Scratch scratch, int layer, Part part, int group, int groupCount)
    {
        int firstHead = Config.HeadCount * group / groupCount;
        _attention.Run(
            firstHead,
            Config.HeadCount * (group + 1) / groupCount - firstHead,
            part.Count,
            scratch.GetProjections(part.Row),
            NetworkState.GetLayout(Config, layer),
            part.State is null ? null : part.State.GetSums(layer, 0),
            scratch.GetAttended(part.Row),
            scratch.GetFocus(part.Row),
            scratch.GetGates(part.Row),
            scratch.GetKept(part.Row));
        GC.KeepAlive(part.State);
    }

    private static void Observe(Scratch scratch, int layer, LayerReader observe)
    {
        foreach (Part part in scratch.Parts)
        {
            observe(
                layer,
                part.Sequence,
                part.FirstToken,
                part.Count,
                new LayerValues(scratch.GetFocus(part.Row), scratch.GetGates(part.Row), scratch.GetKept(part.Row), scratch.GetX(part.Row)));
        }
    }
}
