using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class FusedDropoutTests
{
    private static readonly NoiseMask Mask = new(1234, -77, 0.7);

    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(8)]
    [DataRow(33)]
    [DataRow(100_003)]
    public void Of_AnySize_EqualsTensorOperationsWithTheSameMask(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor fused = linspace(-3, 5, count).requires_grad_(true);
        Tensor plain = linspace(-3, 5, count).requires_grad_(true);
        Tensor upstream = linspace(1, 2, count);

        Tensor actual = FusedDropout.Apply(fused, Mask);
        Tensor expected = Dropout.Reference(plain, Mask);
        actual.backward([upstream]);
        expected.backward([upstream]);

        Assert.AreEqual(0, actual.ne(expected).sum().item<long>());
        Assert.AreEqual(0, fused.grad!.ne(plain.grad!).sum().item<long>());
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void Of_KeysAndPlacesThatWrapAround_EqualsTensorOperations(int sign)
    {
        using DisposeScope scope = NewDisposeScope();
        var mask = new NoiseMask(int.MaxValue - 5, int.MinValue + sign, 0.5);
        Tensor x = ones(100);

        Assert.AreEqual(0, FusedDropout.Apply(x, mask).ne(Dropout.Reference(x, mask)).sum().item<long>());
    }

    [TestMethod]
    public void Of_TransposedInput_CountsPlacesInItsOwnOrder()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = arange(1, 61, ScalarType.Float32).view(12, 5).t();

        Assert.AreEqual(0, FusedDropout.Apply(x, Mask).ne(Dropout.Reference(x, Mask)).sum().item<long>());
    }

    [TestMethod]
    public void Of_OneThreadOrMany_IsBitEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = linspace(-1, 1, 200_000);
        Tensor many = FusedDropout.Apply(x, Mask);
        using var one = new ThreadCount(1);

        Assert.AreEqual(0, FusedDropout.Apply(x, Mask).ne(many).sum().item<long>());
    }

    [TestMethod]
    public void Of_ForwardAndBackward_LeavesNoTensorBehind()
    {
        using var state = new TorchState();
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(100).requires_grad_(true);
        FusedDropout.Apply(x, Mask).sum().backward();
        using var noGradients = no_grad();
        Assert.IsFalse(FusedDropout.Apply(x, Mask).requires_grad);
    }
}
