using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MultiheadLeapTests
{
    private const int N = 80, H = 2, E = 5, R = 3;
    private const double Rescale = 8;
    private static readonly float[] ForgetOffsets = [0, 3];

    public static IEnumerable<object[]> Windows() =>
        from w in new[] { 1, 2, 3, 4, 7, 8, 16, 63, 64, 65, N - 1, N, N + 5 }
        from focusSize in new[] { E, R }
        from isReference in new[] { false, true }
        select new object[] { w, focusSize, isReference };

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Forward_AnyWindow_EqualsNaiveLoop(int window, int focusSize, bool isReference)
    {
        using DisposeScope scope = NewDisposeScope();
        double[][] inputs = Inputs(focusSize);

        double[] actual = Doubles(Attend(window, isReference, [.. inputs.Select(Float)]));

        double[] expected = Naive(inputs, window);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5);
    }

    [TestMethod]
    [DataRow(E, false)]
    [DataRow(E, true)]
    [DataRow(R, false)]
    [DataRow(R, true)]
    public void Forward_ForgetGates_EqualsNaiveLoop(int focusSize, bool isReference)
    {
        using DisposeScope scope = NewDisposeScope();
        double[][] inputs = Inputs(focusSize);

        double[] actual = Doubles(Attend(N, isReference, [.. inputs.Select(Float)], ForgetOffsets));

        double[] expected = Naive(inputs, N, ForgetOffsets);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5);
    }

    [TestMethod]
    [DataRow(E, false)]
    [DataRow(E, true)]
    [DataRow(R, false)]
    [DataRow(R, true)]
    public void Backward_ForgetGates_EqualsNaiveDifferenceQuotient(int focusSize, bool isReference) =>
        AssertGradients(N, focusSize, isReference, ForgetOffsets);

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Backward_AnyWindow_EqualsNaiveDifferenceQuotient(int window, int focusSize, bool isReference) =>
        AssertGradients(window, focusSize, isReference);

    private static void AssertGradients(int window, int focusSize, bool isReference, float[]? forgetOffsets = null)
    {
        using DisposeScope scope = NewDisposeScope();
        double[][] inputs = Inputs(focusSize);
        double[] upstream = Vector(9, E);
        Tensor[] leaves = [.. inputs.Select(x => Float(x).requires_grad_(true))];
        Attend(window, isReference, leaves, forgetOffsets).backward([Float(upstream)]);

        for (int p = 0; p < leaves.Length; p++)
        {
            double[] direction = Vector(20 + p, inputs[p].Length / N / H);
            double actual = Dot(Doubles(leaves[p].grad!), direction);
            Assert.AreEqual(NaiveDerivative(inputs, window, forgetOffsets, upstream, p, direction), actual, 1e-3 * Math.Abs(actual) + 1e-4);
        }
    }

    [TestMethod]
    public void Forward_Training_DropsByTheMasksThatItDraws()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noise = new DropoutNoise(1);
        using var dropout = new Dropout(0.3, noise);
        using var attention = new MultiheadLeap(H, R, 16, Rescale, dropout);
        Tensor projections = cat([.. Inputs(R).Select(x => Float(x).flatten(2))], 2);

        Tensor actual = attention.call(projections);
        noise.Seed(1);
        Tensor expected = attention.Reference(projections, dropout.Draw(), dropout.Draw());

        Assert.IsTrue(expected.eq(0).any().item<bool>());
        Assert.AreEqual(0, (actual - expected).abs().max().item<float>(), 1e-5);
        Assert.AreEqual(0, actual.eq(0).ne(expected.eq(0)).sum().item<long>());
    }

    [TestMethod]
    public void Forward_DoublePrecision_StaysInIt()
    {
        using DisposeScope scope = NewDisposeScope();
        double[][] inputs = Inputs(R);

        Tensor actual = Attend(16, false, [.. inputs.Select(x => tensor(x, [1, N, H, x.Length / N / H]))]);

        Assert.AreEqual(ScalarType.Float64, actual.dtype);
        double[] expected = Naive(inputs, 16);
        double[] values = Doubles(actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], values[i], 1e-12);
    }

    private static Tensor Attend(int window, bool isReference, Tensor[] x, float[]? forgetOffsets = null)
    {
        using var noise = new DropoutNoise(1);
        using var attention = new MultiheadLeap(H, (int)x[1].shape[3], window, Rescale, new Dropout(0, noise), forgetOffsets);
        Tensor projections = cat([.. x.Select(part => part.flatten(2))], 2);
        Tensor y = isReference ? attention.Reference(projections, null, null) : attention.call(projections);
        return y.view(x[0].shape);
    }

    private static double[] Naive(double[][] inputs, int window, float[]? forgetOffsets = null)
    {
        var output = new double[N * H * E];
        for (int h = 0; h < H; h++)
        {
            double[][] Head(double[] x)
            {
                int size = x.Length / N / H;
                return [.. Enumerable.Range(0, N).Select(i => x[((i * H + h) * size)..((i * H + h + 1) * size)])];
            }

            double[][] head = NaiveLeap.Attend(
                Head(inputs[0]), Head(inputs[1]), Head(inputs[2]), Head(inputs[3]), window, Rescale, forgetOffsets?[h]);
            for (int i = 0; i < N; i++)
                head[i].CopyTo(output, (i * H + h) * E);
        }

        return output;
    }

    private static double NaiveDerivative(double[][] inputs, int window, float[]? forgetOffsets, double[] upstream, int p, double[] direction)
    {
        const double step = 1e-5;
        double At(double t)
        {
            double[][] moved = [.. inputs];
            moved[p] = [.. inputs[p].Zip(direction, (x, d) => x + t * d)];
            return Dot(Naive(moved, window, forgetOffsets), upstream);
        }

        return (At(step) - At(-step)) / (2 * step);
    }

    private static double[][] Inputs(int focusSize) => [Vector(1, E), Vector(2, focusSize), Vector(3, focusSize), Vector(4, E)];

    private static double[] Vector(int seed, int size)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, N * H * size).Select(_ => (double)(float)(4 * random.NextDouble() - 2))];
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static Tensor Float(double[] values) => tensor(values, [1, N, H, values.Length / N / H]).to(ScalarType.Float32);

    private static double[] Doubles(Tensor t) => t.detach().to(ScalarType.Float64).data<double>().ToArray();
}
