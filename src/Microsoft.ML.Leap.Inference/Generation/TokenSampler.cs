using System.Numerics.Tensors;

namespace Microsoft.ML.Leap;

/// <summary>Draws one token after another from logits, on a random generator of its own. Not thread-safe.</summary>
internal sealed class TokenSampler(GenerationOptions options, int seed)
{
    private readonly Random _random = new(seed);
    private readonly Candidates _candidates = new();
    private readonly bool _penalises = options.RepetitionPenalty != 1 || options.PresencePenalty != 0 || options.FrequencyPenalty != 0;
    private float[] _logits = [];

    /// <summary>Gets how many of the last tokens matter.</summary>
    public int RecentCount => _penalises ? options.PenaltyWindow : 0;

    /// <summary>Draws an id.</summary>
    /// <param name="logits">The model's, [V]. Of equal ones the lower id ranks first.</param>
    /// <param name="recent">The last tokens of the text, for penalties.</param>
    /// <param name="banned">Ids that may not be drawn now, besides those that the options ban.</param>
    /// <exception cref="InvalidOperationException">The logits are not numbers, or every token is banned.</exception>
    public int Draw(ReadOnlySpan<float> logits, ReadOnlySpan<int> recent, ReadOnlySpan<int> banned)
    {
        if (_logits.Length != logits.Length)
            _logits = new float[logits.Length];
        logits.CopyTo(_logits);
        Penalise(recent);
        foreach ((int id, float bias) in options.LogitBias)
            SetLogit(id, (double)_logits[id] + bias);
        foreach (int id in options.BannedTokens)
            _logits[id] = float.NegativeInfinity;
        foreach (int id in banned)
            _logits[id] = float.NegativeInfinity;

        int best = IndexOfMaximum(_logits);

        // Infinite at temperatures that are as good as 0, where the best one's weight would not be a number.
        float scale = (float)(1 / options.Temperature);
        if (float.IsInfinity(scale) || options.TopK == 1)
            return best;

        _candidates.Fill(_logits, _logits[best], scale);
        if (options.TopK > 0)
            _candidates.KeepTopK(options.TopK);
        if (options.TopP < 1)
            _candidates.KeepTopP(options.TopP);
        if (options.MinP > 0)
            _candidates.KeepMinP(options.MinP);
        if (options.TypicalP < 1)
            _candidates.KeepTypical(options.TypicalP);
        return _candidates.At(_random.NextDouble());
    }

    /// <summary>Gives the place of the greatest logit, the first of equal ones.</summary>
    /// <exception cref="InvalidOperationException">One is not a number, or none is finite.</exception>
    public static int IndexOfMaximum(ReadOnlySpan<float> logits)
    {
        int best = TensorPrimitives.IndexOfMax(logits);
        float maximum = logits[best];
        if (float.IsNaN(maximum) || float.IsPositiveInfinity(maximum))
            throw new InvalidOperationException("The model's logits are not numbers: its weights are damaged, or its training diverged.");
        if (float.IsNegativeInfinity(maximum))
            throw new InvalidOperationException("Every token is banned: loosen BannedTokens, or MinimumNewTokens.");
        return best;
    }

    private void Penalise(ReadOnlySpan<int> recent)
    {
        if (!_penalises)
            return;

        var counts = new Dictionary<int, int>();
        foreach (int id in recent[Math.Max(0, recent.Length - options.PenaltyWindow)..])
            counts[id] = counts.GetValueOrDefault(id) + 1;
        foreach ((int id, int count) in counts)
        {
            double logit = _logits[id];
            logit = Bound(logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty);
            SetLogit(id, logit - options.PresencePenalty - options.FrequencyPenalty * count);
        }
    }

    // What is not finite shows that the model is damaged, and stays.
    private void SetLogit(int id, double logit)
    {
        if (float.IsFinite(_logits[id]))
            _logits[id] = (float)Bound(logit);
    }

    // Options may ask for more than single precision holds.
    private static double Bound(double logit) => Math.Clamp(logit, float.MinValue, float.MaxValue);
}

/// <summary>Natural logarithms of the probabilities that a model gives, log softmax of its logits.</summary>
internal static class LogProbabilities
{
    /// <summary>Gives the logarithm of the sum of the exponentials of logits.</summary>
    /// <exception cref="InvalidOperationException">One is not a number, or none is finite.</exception>
    public static double LogSum(ReadOnlySpan<float> logits) => VectorMath.LogSumExp(logits, logits[TokenSampler.IndexOfMaximum(logits)]);

    /// <summary>Gives the places of the greatest logits, best first; of equal ones the lower place is better.</summary>
    public static int[] Best(ReadOnlySpan<float> logits, int count)
    {
        List<int> best = [];
        for (int i = 0; i < logits.Length && count > 0; i++)
        {
            if (best.Count == count && logits[i] <= logits[best[^1]])
                continue;
            int place = best.Count;
            while (place > 0 && logits[best[place - 1]] < logits[i])
                place--;
            best.Insert(place, i);
            if (best.Count > count)
                best.RemoveAt(count);
        }

        return [.. best];
    }
}
