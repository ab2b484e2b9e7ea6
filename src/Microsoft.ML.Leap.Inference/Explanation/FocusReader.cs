namespace Microsoft.ML.Leap;

/// <summary>What one layer's heads focused on in one sequence; arrays are [head][token].</summary>
internal sealed record FocusLayer(int Window, float[][] Weights, float[][] Gates, float[][] Kept, float[][] Focus);

/// <summary>Reads texts and tells what the network focused on. Thread-safe.</summary>
internal static class FocusReader
{
    /// <summary>Explains a text, or a continuation of a prompt; the start and all tokens are read, so that each has its weights.</summary>
    /// <exception cref="ArgumentException">The text has more tokens than the network can read at once.</exception>
    public static FocusReport Explain(LeapNetwork network, ModelMemory? memory, LeapTokenizer tokenizer, string prompt, string text, string parameter)
    {
        List<int> ids = [tokenizer.EndOfTextId];
        tokenizer.Encode(prompt, ids);
        int promptCount = ids.Count - 1;
        tokenizer.Encode(text, ids);
        RequireFits(ids.Count, network.Config.ReadingLength, parameter);

        // With a prompt, what predicts the continuation: from the prompt's last token to the last but one.
        int firstLooking = prompt.Length == 0 ? 0 : promptCount;
        int lastLooking = prompt.Length == 0 || ids.Count - 1 == promptCount ? ids.Count - 1 : ids.Count - 2;
        (FocusLayer[] layers, double[] ofNetwork, double[] losses) = Read(network, [.. ids], firstLooking, lastLooking, memory);
        double[] shares = new double[losses.Length];
        if (memory is not null)
        {
            NGramMemory.Reader reader = memory.CreateReader();
            reader.Start(ids[0]);
            TextMemory textMemory = memory.CreateTextMemory();
            int[] read = [.. ids];
            for (int i = 0; i < shares.Length; i++)
            {
                double share = memory.ReadShare(reader, read[i + 1], ofNetwork[i]);
                (double kept, double added) = textMemory.Find(read.AsSpan(0, i + 1), read[i + 1]);
                double before = kept * Math.Exp(-losses[i]);
                shares[i] = added == 0 ? share : (before * share + added) / (before + added);
                losses[i] = TextMemory.Mix(losses[i], kept, added);
            }
        }

        (int Start, int Length)[] spans = [.. TokenSpans.Find(tokenizer, prompt, ids.GetRange(1, promptCount)),
            .. TokenSpans.Find(tokenizer, text, ids[(promptCount + 1)..]).Select(span => (prompt.Length + span.Start, span.Length))];
        FocusToken[] tokens = [.. ids.Select((id, i) => new FocusToken
        {
            Index = i,
            Id = id,
            Text = tokenizer.GetTokenText(id),
            Start = i == 0 ? 0 : spans[i - 1].Start,
            Length = i == 0 ? 0 : spans[i - 1].Length,
            LogLikelihood = i == 0 ? double.NaN : -losses[i - 1],
            MemoryShare = i == 0 ? double.NaN : shares[i - 1],
            IsContinuation = prompt.Length > 0 && i > promptCount,
        })];
        return new FocusReport(prompt + text, Array.AsReadOnly(tokens), layers, promptCount);
    }

    /// <summary>Runs the network over a sequence.</summary>
    /// <param name="network">The network.</param>
    /// <param name="ids">The sequence, the start included.</param>
    /// <param name="firstLooking">The first position that counts for the aggregates.</param>
    /// <param name="lastLooking">The last one.</param>
    /// <param name="memory">What predicts beside the network; <see langword="null"/> for nothing.</param>
    /// <returns>The layers, and the loss of each token after the start in nats: the network's own, and with the memory beside it.</returns>
    public static unsafe (FocusLayer[] Layers, double[] OfNetwork, double[] Losses) Read(
        LeapNetwork network, int[] ids, int firstLooking, int lastLooking, ModelMemory? memory = null)
    {
        double[] ofNetwork = new double[ids.Length - 1];
        double[] losses = memory is null ? ofNetwork : new double[ids.Length - 1];
        LogitMixing? mix = BlockLosses.Mix(memory, [new EvaluationBlock(ids, 0, StartsStream: true)], network.Workers);
        var capture = new FocusCapture(network.Config, [ids.Length]);
        network.Forward(
            [ids],
            null,
            (_, first, count, hidden) =>
            {
                int predicted = Math.Min(count, losses.Length - first);
                if (predicted <= 0)
                    return;
                ReadOnlySpan<int> targets = ids.AsSpan(first + 1, predicted);
                network.Predict(hidden, predicted, targets, ofNetwork.AsSpan(first, predicted));
                if (mix is not null)
                    network.Predict(hidden, predicted, targets, losses.AsSpan(first, predicted), mix);
            },
            capture.Add);
        return (capture.GetLayers(0, firstLooking, lastLooking), ofNetwork, losses);
    }

    /// <summary>Gives the tokens of rows their focus over all layers and heads: one value per token.</summary>
    /// <remarks>Rows are read in the windows of <see cref="ScoringWindow"/>, one token shorter, because here the last token is read too. A
    /// token's focus is from the window in which it would be scored; positions outside that window do not count.</remarks>
    public static unsafe float[][] ScoreTokens(LeapNetwork network, IReadOnlyList<IReadOnlyList<int>> rows, int endOfTextId)
    {
        const int chunkWindows = 64;
        float[][] focus = [.. rows.Select(ids => new float[ids.Count])];
        foreach (ScoringWindow[] chunk in ReadingPlan.Of(network.Config, reserved: 1).Cover(rows).Chunk(chunkWindows))
        {
            int[][] sequences = [.. chunk.Select(window => window.ToBlock(rows[window.Row], endOfTextId).Ids)];
            var capture = new FocusCapture(network.Config, [.. sequences.Select(ids => ids.Length)]);
            network.Forward([.. sequences.Select(ids => (ReadOnlyMemory<int>)ids)], null, (_, _, _, _) => { }, capture.Add);
            for (int i = 0; i < chunk.Length; i++)
            {
                FocusLayer[] layers = capture.GetLayers(i, 0, sequences[i].Length - 1);
                for (int t = chunk[i].FirstScored; t < chunk[i].End; t++)
                    focus[chunk[i].Row][t] = (float)layers.Average(layer => layer.Focus.Average(head => (double)head[t - chunk[i].Start + 1]));
            }
        }

        return focus;
    }

    private static void RequireFits(int tokenCount, int readingLength, string parameter)
    {
        if (tokenCount <= readingLength)
            return;
        throw new ArgumentException(
            $"The text has {tokenCount - 1} tokens, but this model can explain at most {readingLength - 1}: it reads {readingLength} at once, of which " +
            "the end-of-text start is one. Explain a part of the text, or train with a larger ContextLength.",
            parameter);
    }

    /// <summary>Collects the focus weights and gates of sequences, and what forget gates keep, in one pass. Not thread-safe.</summary>
    private sealed unsafe class FocusCapture
    {
        private readonly LeapConfig _config;

        // [sequence][layer][head][token].
        private readonly (float[] Weights, float[] Gates, float[] Kept)[][][] _heads;

        public FocusCapture(LeapConfig config, int[] lengths)
        {
            _config = config;
            _heads = [.. lengths.Select(length => Enumerable.Range(0, config.LayerCount).Select(
                _ => Enumerable.Range(0, config.HeadCount).Select(_ => (new float[length], new float[length], new float[length])).ToArray()).ToArray())];
        }

        public void Add(int layer, int sequence, int first, int count, in LayerValues values)
        {
            for (int h = 0; h < _config.HeadCount; h++)
            {
                (float[] weights, float[] gates, float[] kept) = _heads[sequence][layer][h];
                for (int i = 0; i < count; i++)
                {
                    weights[first + i] = values.Focus[i * _config.HeadCount + h];
                    gates[first + i] = values.Gates[i * _config.HeadCount + h];
                    kept[first + i] = values.Kept[i * _config.HeadCount + h];
                }
            }
        }

        public FocusLayer[] GetLayers(int sequence, int firstLooking, int lastLooking) => [.. _heads[sequence].Select((heads, layer) => new FocusLayer(
            _config.WindowSizes[layer],
            [.. heads.Select(head => head.Weights)],
            [.. heads.Select(head => head.Gates)],
            [.. heads.Select(head => head.Kept)],
            [.. heads.Select(head => FocusAggregate.Compute(head.Weights, head.Gates, head.Kept, _config.WindowSizes[layer], firstLooking, lastLooking))]))];
    }
}

/// <summary>One number for a token's focus in a head: how much of what the head let through came from the token, as a multiple of an even
/// part.</summary>
/// <remarks>
/// <para><c>focus_j = mean over the positions i that see j of  a_i * c_i * f_j / S_i</c>, where <c>f_j / S_i</c> is the token's share of
/// window i, <c>S_i</c> the window's sum of f, <c>c_i</c> its number of tokens, and <c>a_i</c> the position's gate.</para>
/// <para>Times c_i, because a share alone compares windows of different sizes: the first tokens of a text and the layers with narrow windows
/// would win by that alone. Times a_i, because what a closed gate keeps out reaches no output.</para>
/// <para>With forget gates a position sees a token as far as the gates between keep it: S_i and c_i are sums of kept parts, and the mean is weighted by
/// them.</para>
/// </remarks>
internal static class FocusAggregate
{
    /// <summary>Aggregates a head.</summary>
    /// <param name="weights">f of each token.</param>
    /// <param name="gates">a of each position.</param>
    /// <param name="kept">k of each position: what its forget gate keeps of all that came before.</param>
    /// <param name="window">Tokens of the layer's window.</param>
    /// <param name="firstLooking">The first position that counts as looking.</param>
    /// <param name="lastLooking">The last one.</param>
    /// <returns>One number per token; 0 for a token that no such position sees.</returns>
    public static float[] Compute(float[] weights, float[] gates, float[] kept, int window, int firstLooking, int lastLooking)
    {
        int length = weights.Length;
        double[] ones = new double[length];
        Array.Fill(ones, 1);
        double[] sums = SumPast([.. weights.Select(weight => (double)weight)]);
        double[] counts = SumPast(ones);
        double[] looking = new double[length];
        double[] isLooking = new double[length];
        for (int i = firstLooking; i <= lastLooking; i++)
        {
            looking[i] = gates[i] * counts[i] / sums[i];
            isLooking[i] = 1;
        }

        double[] passed = SumFuture(looking);
        double[] seen = SumFuture(isLooking);
        return [.. weights.Select((weight, j) => seen[j] == 0 ? 0 : (float)(weight * passed[j] / seen[j]))];

        double[] SumPast(double[] values) => window < length ? SumWindows(values, window) : SumKept(values, kept);
        double[] SumFuture(double[] values) => window < length
            ? [.. SumWindows([.. values.Reverse()], window).Reverse()]
            : [.. SumKept([.. values.Reverse()], [1, .. kept[1..].Reverse()]).Reverse()];
    }

    private static double[] SumKept(double[] values, float[] kept)
    {
        double[] sums = new double[values.Length];
        double sum = 0;
        for (int i = 0; i < sums.Length; i++)
            sums[i] = sum = kept[i] * sum + values[i];
        return sums;
    }

    // Blocks of the window's length: the running sum of this block and the suffix sums of the one before it, so that nothing is subtracted
    // (van Herk 1992, Gil and Werman 1993).
    private static double[] SumWindows(double[] values, int window)
    {
        double[] sums = new double[values.Length];
        double[] suffixes = [];
        for (int start = 0; start < values.Length; start += window)
        {
            int count = Math.Min(window, values.Length - start);
            double prefix = 0;
            for (int i = 0; i < count; i++)
            {
                prefix += values[start + i];
                sums[start + i] = prefix + (i + 1 < suffixes.Length ? suffixes[i + 1] : 0);
            }

            if (count < window)
                break;
            suffixes = values.AsSpan(start, count).ToArray();
            for (int i = count - 2; i >= 0; i--)
                suffixes[i] += suffixes[i + 1];
        }

        return sums;
    }
}
