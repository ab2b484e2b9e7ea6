using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class WindowedSumTests
{
    private const int B = 2, N = 150, D = 3;

    public static IEnumerable<object[]> Windows() =>
        new[] { 1, 2, 3, 4, 7, 8, 16, 63, 64, 65, 66, 100, N - 1, N, N + 5 }.Select(w => new object[] { w });

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Of_SpreadSummands_EqualsNaiveSum(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        double[] x = SpreadSummands(1);
        double[] actual = Doubles(WindowedSum.Compute(Float(x), window));

        AssertRelative(NaiveSum(x, window, past: true), actual, 2e-6);
    }

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Of_Gradient_EqualsNaiveSumOfTheFuture(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        double[] upstream = SpreadSummands(2);
        Tensor x = Float(SpreadSummands(1)).requires_grad_(true);
        WindowedSum.Compute(x, window).backward([Float(upstream)]);

        AssertRelative(NaiveSum(upstream, window, past: false), Doubles(x.grad!), 2e-6);
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(65)]
    [DataRow(N)]
    public void Of_ChangedFuture_LeavesThePastBitEqual(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        const int changed = 70;
        Tensor x = Float(SpreadSummands(1));
        Tensor y = x.clone();
        y.narrow(1, changed, N - changed).mul_(-1e6);

        Tensor expected = WindowedSum.Compute(x, window).narrow(1, 0, changed);
        Tensor actual = WindowedSum.Compute(y, window).narrow(1, 0, changed);
        Assert.AreEqual(0, (expected != actual).sum().item<long>());
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(64)]
    [DataRow(100)]
    public void Of_OnesOfAnyShape_CountsThePlacesInTheWindow(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (long[] shape in new long[][] { [1, 1], [3, 130], [2, 130, 2, 3], [1, 70, 1, 1, 2] })
        {
            Tensor y = WindowedSum.Compute(ones(shape), window);
            CollectionAssert.AreEqual(shape, y.shape);
            Tensor expected = arange(1, shape[1] + 1).clamp_max(window).view([1, -1, .. shape.Skip(2).Select(_ => 1L)]);
            Assert.AreEqual(0, (y != expected).sum().item<long>());
        }
    }

    [TestMethod]
    [DataRow(7)]
    [DataRow(65)]
    [DataRow(N)]
    public void Of_ForwardAndBackward_LeavesNoTensorBehind(int window)
    {
        long before = Tensor.TotalCount;
        using (NewDisposeScope())
        {
            Tensor x = Float(SpreadSummands(1)).requires_grad_(true);
            WindowedSum.Compute(x, window).sum().backward();
            _ = WindowedSum.Compute(x, window);
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    // Positive, over 14 orders of magnitude: what focus weights look like, and what a difference of running sums would lose.
    private static double[] SpreadSummands(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, B * N * D).Select(_ => (double)(float)Math.Exp(random.NextDouble() * 32 - 16))];
    }

    private static double[] NaiveSum(double[] x, int window, bool past)
    {
        var y = new double[x.Length];
        for (int place = 0; place < x.Length; place++)
        {
            int time = place / D % N;
            int first = past ? Math.Max(0, time - window + 1) : time;
            int last = past ? time : Math.Min(N - 1, time + window - 1);
            for (int other = first; other <= last; other++)
                y[place] += x[place + (other - time) * D];
        }

        return y;
    }

    private static Tensor Float(double[] values) => tensor(values, [B, N, D]).to(ScalarType.Float32);

    private static double[] Doubles(Tensor t) => t.to(ScalarType.Float64).data<double>().ToArray();

    private static void AssertRelative(double[] expected, double[] actual, double tolerance)
    {
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], tolerance * Math.Abs(expected[i]));
    }
}
