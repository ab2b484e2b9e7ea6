using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PointwiseConvolutionTests
{
    [TestMethod]
    [DataRow(new long[] { 128, 6 }, 9, true)]
    [DataRow(new long[] { 3, 50, 16 }, 5, false)]
    [DataRow(new long[] { 1, 1 }, 1, true)]
    public void Of_AnyShape_IsTheProduct(long[] shape, long outputs, bool hasBias)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor x = randn(shape, ScalarType.Float64);
        Tensor weight = randn([outputs, shape[^1]], ScalarType.Float64);
        Tensor? bias = hasBias ? randn([outputs], ScalarType.Float64) : null;
        Tensor expected = x.matmul(weight.t()) + (bias ?? zeros(outputs, ScalarType.Float64));
        long before = Tensor.TotalCount;

        Tensor actual = PointwiseConvolution.Of(x.to(ScalarType.Float32), weight.to(ScalarType.Float32), bias?.to(ScalarType.Float32));

        CollectionAssert.AreEqual(expected.shape, actual.shape);
        Assert.IsTrue(actual.is_contiguous());
        Assert.IsTrue((actual - expected).abs().max().item<double>() < 1e-5);
        Assert.IsTrue(Tensor.TotalCount - before < 8, "tensors left to the caller's scope");
    }

    [TestMethod]
    public void IsFaster_WhereGradientsAreWantedOrRowsAreFew_IsFalse()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.IsFalse(PointwiseConvolution.IsFaster(zeros(1000, 8)), "gradients");
        using var noGradients = no_grad();
        Assert.IsFalse(PointwiseConvolution.IsFaster(zeros(8, 15, 8)), "120 rows");
        Assert.IsFalse(PointwiseConvolution.IsFaster(zeros([1000, 8], ScalarType.Float64)), "another type");
    }
}
