namespace Microsoft.ML.Leap;

/// <content>How calls share the weights and the memory, and how sequences become chunks.</content>
internal sealed unsafe partial class LeapNetwork
{
    private void Require(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<NetworkState>? states)
    {
        if (states is not null && states.Count != sequences.Count)
            throw new ArgumentException($"There are {sequences.Count} sequences, but {states.Count} states.", nameof(states));
        for (int i = 0; i < sequences.Count; i++)
        {
            if (sequences[i].IsEmpty)
                throw new ArgumentException($"Sequence {i} has no tokens.", nameof(sequences));
            if (states is not null && !states[i].Fits(Config))
                throw new ArgumentException($"State {i} is of a network of another shape.", nameof(states));
            foreach (int id in sequences[i].Span)
            {
                if ((uint)id >= (uint)Config.VocabularySize)
                    throw new ArgumentOutOfRangeException(nameof(sequences), id, $"Token ids must be at least 0 and below {Config.VocabularySize}.");
            }
        }
    }

    // Cuts sequences into chunks of bounded length. One that is longer goes on from chunk to chunk by its state, or by one of its own.
    private void ForEachChunk(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<NetworkState>? states, Action<Scratch> body)
    {
        Scratch? scratch = null;
        NetworkState? carried = null;
        try
        {
            for (int sequence = 0, token = 0; sequence < sequences.Count;)
            {
                int left = 0;
                for (int i = sequence; i < sequences.Count && left < _chunkLength; i++)
                    left += sequences[i].Length - (i == sequence ? token : 0);
                scratch ??= RentScratch(Math.Min(left, _chunkLength));
                scratch.Clear();
                while (sequence < sequences.Count && scratch.Count < scratch.Capacity)
                {
                    int length = sequences[sequence].Length;
                    int count = Math.Min(length - token, scratch.Capacity - scratch.Count);

                    // A sequence that fits in a chunk is not cut.
                    if (count < length - token && token == 0 && length <= scratch.Capacity)
                        break;
                    NetworkState? state = states?[sequence];
                    if (state is null && count < length)
                        state = carried ??= CreateState();
                    scratch.Add(sequence, token, sequences[sequence].Span.Slice(token, count), state, Config.ContextLength);
                    token += count;
                    if (token < length)
                        break;
                    sequence++;
                    token = 0;
                    if (carried is not null)
                        break;
                }

                body(scratch);
                if (token == 0)
                {
                    carried?.Dispose();
                    carried = null;
                }
            }
        }
        finally
        {
            carried?.Dispose();
            if (scratch is not null)
                ReturnScratch(scratch);
        }
    }

    // Memory on loan for one call. What is too small is not kept.
    private Scratch RentScratch(int tokens)
    {
        Scratch? idle = null;
        lock (_idle)
        {
            if (_idle.Count > 0)
            {
                idle = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
            }
        }

        if (idle is not null && idle.Capacity >= tokens)
            return idle;
        idle?.Dispose();
        return new Scratch(Config, tokens);
    }

    private void ReturnScratch(Scratch scratch)
    {
        lock (_idle)
            _idle.Add(scratch);
    }

    private void Free()
    {
        _weights.Dispose();
        foreach (Scratch scratch in _idle)
            scratch.Dispose();
        _idle.Clear();
    }
}

/// <summary>Takes what the output layer sees of a part of a sequence.</summary>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="tokenCount">The part's tokens.</param>
/// <param name="hidden">Hidden vectors after the last norm, [tokenCount, d]; good during the call.</param>
internal unsafe delegate void HiddenReader(int sequence, int firstToken, int tokenCount, float* hidden);

/// <summary>Takes what a layer computes of a part of a sequence.</summary>
/// <param name="layer">The layer.</param>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="tokenCount">The part's tokens.</param>
/// <param name="values">What the layer computed; good during the call.</param>
internal delegate void LayerReader(int layer, int sequence, int firstToken, int tokenCount, in LayerValues values);

/// <summary>Takes the losses of a part of a sequence.</summary>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="losses">One per token in nats; 0 where there is no target. Good during the call.</param>
internal delegate void LossReader(int sequence, int firstToken, ReadOnlySpan<double> losses);

/// <summary>Mixes something into logits before they become probabilities: <c>logits := factor logits + added</c>. Called for the rows that have a target,
/// in their order, some at a time.</summary>
/// <param name="count">How many rows are next.</param>
/// <param name="size">The logits of a row, V.</param>
/// <param name="factors">To be filled, [count].</param>
/// <param name="added">To be filled, [count, V].</param>
internal delegate void LogitMixing(int count, int size, float[] factors, float[] added);

/// <summary>What a layer computes of some tokens.</summary>
/// <param name="focus">Focus weights f, [tokens, H].</param>
/// <param name="gates">Gates a, [tokens, H].</param>
/// <param name="kept">What the forget gates keep, k, [tokens, H].</param>
/// <param name="output">The block's output x, [tokens, d].</param>
internal readonly unsafe ref struct LayerValues(float* focus, float* gates, float* kept, float* output)
{
    public float* Focus { get; } = focus;

    public float* Gates { get; } = gates;

    public float* Kept { get; } = kept;

    public float* Output { get; } = output;
}
