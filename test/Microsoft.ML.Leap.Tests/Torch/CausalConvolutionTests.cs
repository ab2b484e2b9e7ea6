using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CausalConvolutionTests
{
    // One token; fewer tokens than it sees; widths below, between and of whole vectors; more than one part.
    [TestMethod]
    [DataRow(1, 1, 3, 4, false)]
    [DataRow(2, 3, 8, 4, false)]
    [DataRow(3, 7, 17, 3, false)]
    [DataRow(2, 9, 5, 1, false)]
    [DataRow(2, 200, 33, 16, false)]
    [DataRow(3, 7, 17, 3, true)]
    [DataRow(5, 210, 128, 4, false)]
    [DataRow(5, 210, 128, 4, true)]
    public void Convolve_AnyShape_EqualsDoublePrecisionForwardAndBackward(int batch, int length, int width, int size, bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = usesBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        Tensor n = Random(1, batch, length, width).requires_grad_(true);
        Tensor weight = Random(2, size, width).requires_grad_(true);
        Tensor gradient = Random(3, batch, length, width).to(type);

        Tensor y = Convolve(n, weight, type);
        y.backward([gradient]);

        Assert.AreEqual(type, y.dtype);
        Assert.AreEqual(ScalarType.Float32, n.grad!.dtype);
        (double[] exactN, double[] exactWeight, double[] exactGradient) = (Doubles(n), Doubles(weight), Doubles(gradient));
        AssertClose(Exact(exactN, exactWeight), Doubles(y), usesBFloat16 ? 1.0 / 256 : 1e-6);

        // The result is linear in each of the two: a difference quotient with any step is its derivative.
        AssertSlopes(exactN, Doubles(n.grad!), () => Loss(exactN, exactWeight, exactGradient));
        AssertSlopes(exactWeight, Doubles(weight.grad!), () => Loss(exactN, exactWeight, exactGradient));

        double[] Exact(double[] input, double[] weights) =>
        [
            .. input.Chunk(length * width).SelectMany(
                sequence => NaiveNetwork.Convolve(weights, [.. sequence.Chunk(width)]).SelectMany(row => row)),
        ];

        double Loss(double[] input, double[] weights, double[] gradients) => Exact(input, weights).Zip(gradients, (a, b) => a * b).Sum();
    }

    [TestMethod]
    [DataRow(2, 9, 24, 4)]
    [DataRow(1, 2, 7, 5)]
    [DataRow(3, 40, 128, 4)]
    public void Reference_OfTensorOperations_EqualsTheFused(int batch, int length, int width, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gradient = Random(3, batch, length, width);
        Tensor[] fused = [Random(1, batch, length, width).requires_grad_(true), Random(2, size, width).requires_grad_(true)];
        Tensor[] plain = [Random(1, batch, length, width).requires_grad_(true), Random(2, size, width).requires_grad_(true)];

        Tensor actual = Convolve(fused[0], fused[1], ScalarType.Float32);
        Tensor expected = CausalConvolution.Reference(plain[0], plain[1]);
        actual.backward([gradient]);
        expected.backward([gradient]);

        AssertClose(Doubles(expected), Doubles(actual), 1e-6);
        AssertClose(Doubles(plain[0].grad!), Doubles(fused[0].grad!), 1e-6);
        AssertClose(Doubles(plain[1].grad!), Doubles(fused[1].grad!), 1e-5);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Convolve_PackedDocuments_GivesWhatEachGivesByItself(bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = usesBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        PackedDocuments documents = PackedDocuments.Create([3, 1, 1, 9, 4, 2]);
        Tensor n = Random(1, 1, 20, 19).requires_grad_(true);
        Tensor weight = Random(2, 4, 19).requires_grad_(true);
        Tensor gradient = Random(3, 1, 20, 19).to(type);
        Tensor alone = n.detach().clone().requires_grad_(true);
        Tensor weightAlone = weight.detach().clone().requires_grad_(true);

        Tensor packed = FusedConvolution.Convolve(n, weight, new ConvolutionShape(n, weight, type, documents));
        packed.backward([gradient]);

        foreach ((int start, int count) in documents.Documents)
        {
            Tensor y = Convolve(alone.narrow(1, start, count), weightAlone, type);
            y.backward([gradient.narrow(1, start, count)]);
            Assert.AreEqual(0, y.ne(packed.narrow(1, start, count)).sum().item<long>());
        }

        Assert.AreEqual(0, alone.grad!.ne(n.grad!).sum().item<long>());
        AssertClose(Doubles(weightAlone.grad!), Doubles(weight.grad!), 1e-5);
    }

    [TestMethod]
    public void Convolve_OneThreadOrMany_IsBitEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] many = Run();
        using var one = new ThreadCount(1);
        Tensor[] single = Run();

        for (int i = 0; i < many.Length; i++)
            Assert.AreEqual(0, many[i].ne(single[i]).sum().item<long>());

        static Tensor[] Run()
        {
            Tensor n = Random(1, 7, 100, 200).requires_grad_(true);
            Tensor weight = Random(2, 4, 200).requires_grad_(true);
            Tensor y = Convolve(n, weight, ScalarType.Float32);
            y.backward([Random(3, 7, 100, 200)]);
            return [y, n.grad!, weight.grad!];
        }
    }

    [TestMethod]
    public void Convolve_WithoutGradientsOrTransposed_EqualsThatWithThem()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor n = Random(1, 2, 9, 24);
        Tensor weight = Random(2, 4, 24);
        Tensor expected = Convolve(n.clone().requires_grad_(true), weight, ScalarType.Float32);

        Assert.AreEqual(0, Convolve(n, weight, ScalarType.Float32).ne(expected).sum().item<long>());
        Tensor turned = n.transpose(1, 2).contiguous().transpose(1, 2);
        Assert.AreEqual(0, Convolve(turned, weight, ScalarType.Float32).ne(expected).sum().item<long>());
    }

    [TestMethod]
    public void Forward_NewModule_IsTheIdentity()
    {
        using DisposeScope scope = NewDisposeScope();
        using var initializer = new WeightInitializer(0.02, CPU, 1);
        using var module = new CausalConvolution(4, 24, initializer);
        Tensor n = Random(1, 2, 9, 24);

        Assert.AreEqual(0, module.call(n).ne(n).sum().item<long>());
        CollectionAssert.AreEqual(new long[] { 4, 24 }, module.parameters().Single().shape);
    }

    [TestMethod]
    public void Forward_PackedDocumentsInDoublePrecision_AreRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        using var initializer = new WeightInitializer(0.02, CPU, 1);
        using var module = new CausalConvolution(4, 24, initializer);
        Tensor n = Random(1, 1, 9, 24).to(ScalarType.Float64);
        Assert.ThrowsExactly<NotSupportedException>(() => module.Forward(n, ScalarType.Float64, PackedDocuments.Create([4, 5])));
    }

    [TestMethod]
    public void ConvolveAndBackward_InAScope_LeaveNoTensorBehind()
    {
        using var state = new TorchState();
        using DisposeScope scope = NewDisposeScope();
        Convolve(Random(1, 2, 9, 24).requires_grad_(true), Random(2, 4, 24).requires_grad_(true), ScalarType.Float32).sum().backward();
    }

    private static Tensor Convolve(Tensor n, Tensor weight, ScalarType type) =>
        FusedConvolution.Convolve(n, weight, new ConvolutionShape(n, weight, type, documents: null));

    private static Tensor Random(int seed, params long[] shape)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => (float)(2 * random.NextDouble() - 1))], shape);
    }

    private static double[] Doubles(Tensor values) => values.detach().to(ScalarType.Float64).contiguous().data<double>().ToArray();

    private static void AssertClose(double[] expected, double[] actual, double tolerance)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], tolerance * Math.Max(1, Math.Abs(expected[i])), $"value {i}");
    }

    // Of some values all over.
    private static void AssertSlopes(double[] values, double[] gradient, Func<double> loss)
    {
        Assert.HasCount(values.Length, gradient);
        for (int i = 0; i < values.Length; i += 1 + values.Length / 12)
        {
            double value = values[i];
            values[i] = value + 0.5;
            double above = loss();
            values[i] = value - 0.5;
            double below = loss();
            values[i] = value;
            Assert.AreEqual(above - below, gradient[i], 1e-5 * Math.Max(1, Math.Abs(above - below)), $"gradient {i}");
        }
    }
}
