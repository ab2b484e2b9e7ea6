namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Numbers by which the removable tokens of a case are ranked.</summary>
internal static class FocusRanking
{
    /// <summary>The aggregate of <c>Explain(text)</c>: all positions look.</summary>
    public static double[] Focus(LeapModel model, DeletionCase item) => Focus(model, item, 0, item.Ids.Length - 1);

    /// <summary>The aggregate of <c>Explain(prompt, continuation)</c>: the positions look that predict the scored tokens.</summary>
    public static double[] FocusOfContinuation(LeapModel model, DeletionCase item) =>
        Focus(model, item, item.FirstScored - 1, item.Ids.Length - 2);

    /// <summary>As <see cref="Focus(LeapModel, DeletionCase)"/>, as if all gates were open.</summary>
    public static double[] WithoutGates(LeapModel model, DeletionCase item) => Mean(model, item, (_, count) => count);

    /// <summary>As <see cref="Focus(LeapModel, DeletionCase)"/>, without gates and without the window's number of tokens.</summary>
    public static double[] MeanShare(LeapModel model, DeletionCase item) => Mean(model, item, (_, _) => 1);

    /// <summary>The later, the greater.</summary>
    public static double[] Recency(DeletionCase item) => [.. Enumerable.Range(0, item.RemovableCount).Select(i => (double)i)];

    /// <summary>Ranks of equal values are those of their order in the sequence.</summary>
    public static double SpearmanCorrelation(double[] a, double[] b)
    {
        double[] x = Ranks(a);
        double[] y = Ranks(b);
        double mean = (a.Length - 1) / 2.0;
        double covariance = x.Zip(y, (p, q) => (p - mean) * (q - mean)).Sum();
        return covariance / x.Sum(p => (p - mean) * (p - mean));
    }

    private static double[] Focus(LeapModel model, DeletionCase item, int firstLooking, int lastLooking)
    {
        (FocusLayer[] layers, _) = FocusReader.Read(model, item.Ids, firstLooking, lastLooking);
        return [.. Enumerable.Range(1, item.RemovableCount).Select(j => layers.Average(layer => layer.Focus.Average(head => (double)head[j])))];
    }

    private static double[] Mean(LeapModel model, DeletionCase item, Func<double, int, double> factor)
    {
        (FocusLayer[] layers, _) = FocusReader.Read(model, item.Ids, 0, item.Ids.Length - 1);
        double[] means = new double[item.RemovableCount];
        foreach (FocusLayer layer in layers)
        {
            for (int head = 0; head < layer.Weights.Length; head++)
            {
                double[] looking = Looking(layer, head, factor);
                for (int j = 1; j <= means.Length; j++)
                {
                    int end = Math.Min(looking.Length, j + layer.Window);
                    means[j - 1] += layer.Weights[head][j] * looking[j..end].Average() / layer.Weights.Length / layers.Length;
                }
            }
        }

        return means;
    }

    // For each position what a weight in its window is multiplied by.
    private static double[] Looking(FocusLayer layer, int head, Func<double, int, double> factor)
    {
        float[] weights = layer.Weights[head];
        return [.. weights.Select((_, i) =>
        {
            int first = Math.Max(0, i - layer.Window + 1);
            double total = weights[first..(i + 1)].Sum(weight => (double)weight);
            return factor(layer.Gates[head][i], i - first + 1) / total;
        })];
    }

    private static double[] Ranks(double[] values)
    {
        double[] ranks = new double[values.Length];
        int[] order = [.. Enumerable.Range(0, values.Length).OrderBy(i => values[i])];
        for (int rank = 0; rank < order.Length; rank++)
            ranks[order[rank]] = rank;
        return ranks;
    }
}
