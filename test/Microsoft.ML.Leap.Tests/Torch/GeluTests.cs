using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GeluTests
{
    // Less than a vector, whole vectors of any width with and without a rest, and more than one part.
    [TestMethod]
    [DataRow(1, false)]
    [DataRow(32, false)]
    [DataRow(77, false)]
    [DataRow(77, true)]
    [DataRow(70_003, false)]
    [DataRow(70_003, true)]
    public void Of_AnySize_EqualsDoublePrecisionForwardAndBackward(int count, bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = usesBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        Tensor x = linspace(-9, 9, count, ScalarType.Float32).to(type).requires_grad_(true);
        Tensor exact = x.detach().to(ScalarType.Float64).requires_grad_(true);
        Tensor gradient = linspace(0.5, 2, count, ScalarType.Float32).to(type);

        Tensor y = Gelu.Apply(x);
        Tensor expected = nn.functional.gelu(exact);
        y.backward([gradient]);
        expected.backward([gradient.to(ScalarType.Float64)]);

        Assert.AreEqual(type, y.dtype);
        AssertClose(expected, y, usesBFloat16 ? 0.04 : 1e-6);
        AssertClose(exact.grad!, x.grad!, usesBFloat16 ? 0.02 : 1e-6);
    }

    [TestMethod]
    public void Of_WithoutGradients_EqualsThatWithThem()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = linspace(-9, 9, 100, ScalarType.Float32);
        Tensor expected = Gelu.Apply(x.clone().requires_grad_(true));
        Assert.AreEqual(0, (Gelu.Apply(x) - expected).abs().max().item<float>());
    }

    [TestMethod]
    public void Of_InfiniteOrNaN_IsAsTorchHasIt()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor([float.PositiveInfinity, float.NaN, 1e30f, -1e10f, 0]);
        float[] y = Gelu.Apply(x).data<float>().ToArray();
        Assert.AreEqual(float.PositiveInfinity, y[0]);
        Assert.IsTrue(float.IsNaN(y[1]));
        Assert.AreEqual(1e30f, y[2]);
        Assert.AreEqual(0, y[3], 1e-20);
        Assert.AreEqual(0, y[4]);
    }

    [TestMethod]
    public void Of_TransposedInput_IsComputedInItsOrder()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = linspace(-3, 3, 60, ScalarType.Float32).view(6, 10);
        Assert.AreEqual(0, (Gelu.Apply(x.t()) - Gelu.Apply(x).t()).abs().max().item<float>());
    }

    [TestMethod]
    public void Of_ForwardAndBackward_LeavesNoTensorBehind()
    {
        using var state = new TorchState();
        using DisposeScope scope = NewDisposeScope();
        Gelu.Apply(linspace(-3, 3, 60, ScalarType.Float32).requires_grad_(true)).sum().backward();
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance) =>
        Assert.AreEqual(0, (expected - actual).abs().max().item<double>(), tolerance);
}
