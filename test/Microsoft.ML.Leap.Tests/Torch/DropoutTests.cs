using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DropoutTests
{
    [TestMethod]
    public void Forward_Training_DropsAtTheRateAndScalesTheRest()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noise = new DropoutNoise(1);
        using var dropout = new Dropout(0.3, noise);
        Tensor x = ones([100_000]).requires_grad_(true);

        Tensor y = dropout.call(x);
        y.sum().backward();

        // Six standard deviations of a binomial share of 100,000.
        Assert.AreEqual(0.3, y.eq(0).to(ScalarType.Float32).mean().item<float>(), 0.009);
        Assert.AreEqual(0, y.ne(0).logical_and(y.sub(1 / 0.7).abs().gt(1e-6)).sum().item<long>());
        Assert.AreEqual(0, x.grad!.ne(y).sum().item<long>());
    }

    [TestMethod]
    public void Forward_SameSeedAgain_GivesTheSameMasks()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noise = new DropoutNoise(1);
        using var dropout = new Dropout(0.5, noise);
        Tensor x = ones([1000]);

        noise.Seed(7);
        Tensor first = dropout.call(x);
        Tensor second = dropout.call(x);
        noise.Seed(7);
        Tensor again = dropout.call(x);

        Assert.AreEqual(0, first.ne(again).sum().item<long>());
        Assert.AreNotEqual(0, first.ne(second).sum().item<long>());
    }

    [TestMethod]
    public void Forward_EvaluationOrProbabilityZero_LeavesValues()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noise = new DropoutNoise(1);
        using var evaluated = new Dropout(0.5, noise);
        using var zero = new Dropout(0, noise);
        evaluated.eval();
        Tensor x = rand([100]);

        Assert.AreEqual(0, evaluated.call(x).ne(x).sum().item<long>());
        Assert.AreEqual(0, zero.call(x).ne(x).sum().item<long>());
    }
}
