namespace Microsoft.ML.Leap;

/// <summary>Tokens that may be drawn, each with a weight in proportion to its probability. Not thread-safe.</summary>
internal sealed class Candidates
{
    private int[] _ids = [];
    private float[] _weights = [];
    private int _count;

    /// <summary>Takes all tokens, weighted by <c>exp((logit - maximum) * scale)</c>.</summary>
    public void Fill(ReadOnlySpan<float> logits, float maximum, float scale)
    {
        if (_ids.Length < logits.Length)
        {
            _ids = new int[logits.Length];
            _weights = new float[logits.Length];
        }

        _count = logits.Length;
        VectorMath.WriteSoftmaxWeights(logits, maximum, scale, _weights);
        for (int i = 0; i < _count; i++)
        {
            _ids[i] = i;
            if (float.IsNegativeInfinity(logits[i]))
                _weights[i] = 0;
        }
    }

    /// <summary>Keeps the <paramref name="count"/> weightiest, in the order of their weight.</summary>
    public void KeepTopK(int count)
    {
        count = Math.Min(count, _count);
        float least = 1;
        while (Count(least) < count)
            least = least > float.Epsilon ? least / 16 : -1;
        KeepAtLeast(least);
        Sort();
        _count = count;
    }

    /// <summary>Keeps the weightiest, as few as reach a share of the weight, in the order of their weight.</summary>
    public void KeepTopP(double share)
    {
        double total = Total();
        float least = 1;
        while (Sum(least) < share * total)
            least = least > float.Epsilon ? least / 16 : -1;
        KeepAtLeast(least);
        Sort();
        KeepFirst(share * total);
    }

    /// <summary>Keeps those that reach a share of the weightiest one's weight.</summary>
    public void KeepMinP(double share)
    {
        float maximum = 0;
        for (int i = 0; i < _count; i++)
            maximum = Math.Max(maximum, _weights[i]);
        KeepAtLeast((float)(share * maximum));
    }

    /// <summary>Keeps those whose surprise is nearest to the expected one, as few as reach a share of the weight.</summary>
    public void KeepTypical(double share)
    {
        KeepAtLeast(float.Epsilon);
        double total = Total();
        double entropy = 0;
        for (int i = 0; i < _count; i++)
            entropy -= _weights[i] / total * Math.Log(_weights[i] / total);

        double[] distances = new double[_count];
        int[] order = new int[_count];
        for (int i = 0; i < _count; i++)
        {
            distances[i] = Math.Abs(-Math.Log(_weights[i] / total) - entropy);
            order[i] = i;
        }

        Array.Sort(order, (a, b) => distances[a] != distances[b] ? distances[a].CompareTo(distances[b]) : _ids[a].CompareTo(_ids[b]));
        int[] ids = [.. order.Select(i => _ids[i])];
        float[] weights = [.. order.Select(i => _weights[i])];
        ids.CopyTo(_ids, 0);
        weights.CopyTo(_weights, 0);
        KeepFirst(share * total);
    }

    /// <summary>Gives the id at a share of the weight, at least 0 and below 1.</summary>
    public int At(double share)
    {
        double target = share * Total();
        int last = 0;
        for (int i = 0; i < _count; i++)
        {
            if (_weights[i] == 0)
                continue;
            last = i;
            target -= _weights[i];
            if (target < 0)
                break;
        }

        // Rounding may leave a crumb of the target: it belongs to the last that can be drawn at all.
        return _ids[last];
    }

    private double Total() => Sum(0);

    private double Sum(float least)
    {
        double sum = 0;
        for (int i = 0; i < _count; i++)
        {
            if (_weights[i] >= least)
                sum += _weights[i];
        }

        return sum;
    }

    private int Count(float least)
    {
        int count = 0;
        for (int i = 0; i < _count; i++)
        {
            if (_weights[i] >= least)
                count++;
        }

        return count;
    }

    private void KeepAtLeast(float least)
    {
        int kept = 0;
        for (int i = 0; i < _count; i++)
        {
            if (_weights[i] < least)
                continue;
            _ids[kept] = _ids[i];
            _weights[kept++] = _weights[i];
        }

        _count = kept;
    }

    private void KeepFirst(double weight)
    {
        double sum = 0;
        int kept = 0;
        while (kept < _count && (kept == 0 || sum < weight))
            sum += _weights[kept++];
        _count = kept;
    }

    // Only few are left where this is called: those under a threshold are gone.
    private void Sort()
    {
        (int Id, float Weight)[] pairs = new (int, float)[_count];
        for (int i = 0; i < _count; i++)
            pairs[i] = (_ids[i], _weights[i]);
        Array.Sort(pairs, (a, b) => a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Id.CompareTo(b.Id));
        for (int i = 0; i < _count; i++)
            (_ids[i], _weights[i]) = pairs[i];
    }
}
