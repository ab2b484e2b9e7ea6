using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Removes tokens of texts in different orders, and measures how the loss of what follows rises.</summary>
internal sealed class DeletionTest(LeapModel model, IReadOnlyList<DeletionCase> cases, int seed)
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

    private double Loss(int[] ids, int firstScored)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        long[] longs = [.. ids.Select(id => (long)id)];
        Tensor hidden = model.Hidden(tensor(longs[..^1], [1, longs.Length - 1]), null).flatten(0, 1);
        long[] places = [.. Enumerable.Range(firstScored - 1, ids.Length - firstScored).Select(i => (long)i)];
        return TokenLosses.Of(model, hidden, places, longs[firstScored..]).Average();
    }

    // Indices of the sequence, in which the start is 0, from the greatest value on.
    private static int[] Order(double[] values) =>
        [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Select(i => i + 1)];
}
