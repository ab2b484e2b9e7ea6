namespace Microsoft.ML.Leap;

/// <summary>Natural logarithms of the probabilities that a model gives, log softmax of its logits. Not thread-safe.</summary>
internal sealed class LogProbabilities
{
    private float[] _weights = [];

    /// <summary>Gives the logarithm of the sum of the exponentials of logits.</summary>
    public double LogSum(ReadOnlySpan<float> logits)
    {
        if (_weights.Length < logits.Length)
            _weights = new float[logits.Length];
        float maximum = logits[TokenSampler.IndexOfMaximum(logits)];
        return maximum + Math.Log(SoftmaxWeights.Write(logits, maximum, 1, _weights));
    }

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
