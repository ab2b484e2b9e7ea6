using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MatrixProductTests
{
    [TestMethod]
    [DataRow(false, 1e-6)]
    [DataRow(true, 1e-2)]
    public void Of_EitherPrecision_IsTheProductAndItsGradients(bool usesBFloat16, double tolerance)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = [Leaf(1, 3, 4, 6), Leaf(2, 5, 6), Leaf(3, 5)];
        Tensor[] exact = [.. leaves.Select(leaf => leaf.detach().to(ScalarType.Float64).requires_grad_(true))];
        Tensor factor = Leaf(4, 3, 4, 5).detach();

        Tensor product = MatrixProduct.Multiply(leaves[0], leaves[1], leaves[2], usesBFloat16);
        Tensor expected = exact[0].matmul(exact[1].t()) + exact[2];
        (product * factor).sum().backward();
        (expected * factor).sum().backward();

        Assert.AreEqual(usesBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32, product.dtype);
        AssertClose(expected, product, tolerance);
        for (int i = 0; i < leaves.Length; i++)
            AssertClose(exact[i].grad!, leaves[i].grad!, tolerance);
        Assert.IsTrue(leaves.All(leaf => leaf.grad!.dtype == ScalarType.Float32));
    }

    private static Tensor Leaf(int seed, params long[] shape)
    {
        var random = new Random(seed);
        float[] values = [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => 2 * random.NextSingle() - 1)];
        return tensor(values, shape).requires_grad_(true);
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        double largest = expected.abs().max().item<double>();
        Assert.AreEqual(0, (expected - actual).abs().max().item<double>(), tolerance * largest);
    }
}
