namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Removes tokens of texts in different orders, and measures how the loss of what follows rises.</summary>
internal sealed class DeletionTest(LeapNetwork network, IReadOnlyList<DeletionCase> cases, int seed)
{
    private const int RandomOrders = 5;

    public static IReadOnlyList<double> Fractions { get; } = [0.1, 0.2, 0.3, 0.4, 0.5];

    /// <summary>Returns the rises by text and fraction when the tokens that <paramref name="rank"/> ranks highest go first.</summary>
    public List<double[]> Rises(Func<DeletionCase, double[]> rank, bool isLowestFirst = false) =>
        [.. cases.Select(item =>
        {
            double[] values = rank(item);
            return Rises(item, Order(isLowestFirst ? [.. values.Select(value => -value)] : values));
        })];

    /// <summary>Returns the rises by text and fraction when random tokens go, the mean of several draws.</summary>
    public List<double[]> RandomRises()
    {
        var random = new Random(seed);
        return [.. cases.Select(item =>
        {
            double[] mean = new double[Fractions.Count];
            for (int draw = 0; draw < RandomOrders; draw++)
            {
                double[] rises = Rises(item, Order([.. Enumerable.Range(0, item.RemovableCount).Select(_ => random.NextDouble())]));
                for (int k = 0; k < mean.Length; k++)
                    mean[k] += rises[k] / RandomOrders;
            }

            return mean;
        })];
    }

    private double[] Rises(DeletionCase item, int[] order)
    {
        double before = Loss(item.Ids, item.FirstScored);
        return [.. Fractions.Select(fraction =>
        {
            int count = Math.Max(1, (int)Math.Round(fraction * item.RemovableCount));
            HashSet<int> removed = [.. order.Take(count)];
            int[] kept = [.. item.Ids.Where((_, i) => !removed.Contains(i))];
            return Loss(kept, item.FirstScored - count) - before;
        })];
    }

    private double Loss(int[] ids, int firstScored) =>
        BlockLosses.Compute(network, [new EvaluationBlock(ids, firstScored - 1, StartsStream: true)], memory: null)[0].Average();

    // Indices of the sequence, in which the start is 0, from the greatest value on.
    private static int[] Order(double[] values) =>
        [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Select(i => i + 1)];
}

/// <summary>A sequence from whose beginning tokens are removed to see what follows suffer.</summary>
/// <param name="Ids">The tokens, the end-of-text start first.</param>
/// <param name="RemovableCount">How many tokens after the start may be removed.</param>
/// <param name="FirstScored">The first of the tokens whose loss counts; none of them is removable.</param>
internal sealed record DeletionCase(int[] Ids, int RemovableCount, int FirstScored);

/// <summary>Numbers by which the removable tokens of a case are ranked.</summary>
internal static class FocusRanking
{
    /// <summary>The aggregate of <c>Explain(text)</c>: all positions look.</summary>
    public static double[] Focus(LeapNetwork model, DeletionCase item) => Focus(model, item, 0, item.Ids.Length - 1);

    /// <summary>The aggregate of <c>Explain(prompt, continuation)</c>: the positions look that predict the scored tokens.</summary>
    public static double[] FocusOfContinuation(LeapNetwork model, DeletionCase item) =>
        Focus(model, item, item.FirstScored - 1, item.Ids.Length - 2);

    /// <summary>As <see cref="Focus(LeapNetwork, DeletionCase)"/>, as if all gates were open; of a network with windows.</summary>
    public static double[] WithoutGates(LeapNetwork model, DeletionCase item) => Mean(model, item, (_, count) => count);

    /// <summary>As <see cref="Focus(LeapNetwork, DeletionCase)"/>, without gates and without the window's number of tokens; of a network with windows.</summary>
    public static double[] MeanShare(LeapNetwork model, DeletionCase item) => Mean(model, item, (_, _) => 1);

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

    private static double[] Focus(LeapNetwork model, DeletionCase item, int firstLooking, int lastLooking)
    {
        (FocusLayer[] layers, _, _) = FocusReader.Read(model, item.Ids, firstLooking, lastLooking);
        return [.. Enumerable.Range(1, item.RemovableCount).Select(j => layers.Average(layer => layer.Focus.Average(head => (double)head[j])))];
    }

    private static double[] Mean(LeapNetwork model, DeletionCase item, Func<double, int, double> factor)
    {
        (FocusLayer[] layers, _, _) = FocusReader.Read(model, item.Ids, 0, item.Ids.Length - 1);
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

/// <summary>Deletion curves of one model.</summary>
internal sealed record DeletionReport
{
    public required int Texts { get; init; }
    public required double MeanRemovableTokens { get; init; }
    public required DeletionCurve MostFocused { get; init; }
    public required DeletionCurve Random { get; init; }
    public required DeletionCurve LeastFocused { get; init; }

    /// <summary>Gets the control: the tokens right before what follows go first.</summary>
    public required DeletionCurve MostRecent { get; init; }

    /// <summary>Gets the curve where only the positions that predict what follows look.</summary>
    public required DeletionCurve MostFocusedByContinuation { get; init; }

    /// <summary>Gets the rise of most focused less that of random, by text.</summary>
    public required Interval MostLessRandom { get; init; }

    /// <summary>Gets the rise of random less that of least focused, by text.</summary>
    public required Interval RandomLessLeast { get; init; }

    public static DeletionReport Measure(LeapNetwork model, IReadOnlyList<DeletionCase> cases, int seed)
    {
        var test = new DeletionTest(model, cases, seed);
        List<double[]> most = test.Rises(item => FocusRanking.Focus(model, item));
        List<double[]> random = test.RandomRises();
        List<double[]> least = test.Rises(item => FocusRanking.Focus(model, item), isLowestFirst: true);
        return new DeletionReport
        {
            Texts = cases.Count,
            MeanRemovableTokens = cases.Average(item => item.RemovableCount),
            MostFocused = DeletionCurve.FromRises(DeletionTest.Fractions, most),
            Random = DeletionCurve.FromRises(DeletionTest.Fractions, random),
            LeastFocused = DeletionCurve.FromRises(DeletionTest.Fractions, least),
            MostRecent = DeletionCurve.FromRises(DeletionTest.Fractions, test.Rises(FocusRanking.Recency)),
            MostFocusedByContinuation = DeletionCurve.FromRises(
                DeletionTest.Fractions, test.Rises(item => FocusRanking.FocusOfContinuation(model, item))),
            MostLessRandom = Difference(most, random),
            RandomLessLeast = Difference(random, least),
        };
    }

    private static Interval Difference(List<double[]> a, List<double[]> b) =>
        Interval.FromSamples([.. a.Zip(b, (x, y) => x.Average() - y.Average())]);
}

/// <summary>How much the loss of the following tokens rises, in nats per token, when tokens are removed in one order.</summary>
/// <param name="Mean">The mean over the removed fractions and the texts: the area over the perturbation curve.</param>
/// <param name="Low">The lower end of its 95 % interval over the texts.</param>
/// <param name="High">The upper end.</param>
/// <param name="Points">The rise at each removed fraction.</param>
internal sealed record DeletionCurve(double Mean, double Low, double High, IReadOnlyList<DeletionPoint> Points)
{
    /// <summary>Sums up rises by text and fraction.</summary>
    public static DeletionCurve FromRises(IReadOnlyList<double> fractions, IReadOnlyList<double[]> rises)
    {
        Interval all = Interval.FromSamples([.. rises.Select(text => text.Average())]);
        return new DeletionCurve(all.Mean, all.Low, all.High, [.. fractions.Select((fraction, k) =>
        {
            Interval at = Interval.FromSamples([.. rises.Select(text => text[k])]);
            return new DeletionPoint(fraction, at.Mean, at.Low, at.High);
        })]);
    }

    public override string ToString() => new Interval(Mean, Low, High).ToString();
}

/// <summary>The rise of the loss at one fraction of removed tokens, and its 95 % interval over the texts.</summary>
internal sealed record DeletionPoint(double Removed, double Mean, double Low, double High);
