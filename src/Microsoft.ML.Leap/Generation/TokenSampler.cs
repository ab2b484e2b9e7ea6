namespace Microsoft.ML.Leap;

/// <summary>Draws one token after another from logits, by temperature and top-k, on a random generator of its own.</summary>
internal sealed class TokenSampler(double temperature, int topK, int seed)
{
    private readonly Random _random = new(seed);

    /// <summary>Draws an id from logits [V]. With equal logits the lower id ranks first.</summary>
    public int Draw(ReadOnlySpan<float> logits)
    {
        if (temperature == 0)
            return IndexOfMaximum(logits);

        int[] candidates = Candidates(logits);
        double[] weights = new double[candidates.Length];
        double maximum = logits[IndexOfMaximum(logits)];
        double total = 0;
        for (int i = 0; i < candidates.Length; i++)
            total += weights[i] = Math.Exp((logits[candidates[i]] - maximum) / temperature);

        double target = _random.NextDouble() * total;
        for (int i = 0; i < candidates.Length; i++)
        {
            target -= weights[i];
            if (target < 0)
                return candidates[i];
        }

        // Rounding may leave a crumb of the target: it belongs to the last candidate that can be drawn at all.
        return candidates[Array.FindLastIndex(weights, weight => weight > 0)];
    }

    private int[] Candidates(ReadOnlySpan<float> logits)
    {
        int[] ids = [.. Enumerable.Range(0, logits.Length)];
        if (topK == 0 || topK >= ids.Length)
            return ids;

        float[] keys = logits.ToArray();
        Array.Sort(ids, (a, b) => keys[a] != keys[b] ? keys[b].CompareTo(keys[a]) : a.CompareTo(b));
        return ids[..topK];
    }

    private static int IndexOfMaximum(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best])
                best = i;
        }

        return best;
    }
}
