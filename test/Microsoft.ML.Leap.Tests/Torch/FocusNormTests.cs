using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class FocusNormTests
{
    [TestMethod]
    [DataRow(1e-6)]
    [DataRow(1e-3)]
    [DataRow(10.0)]
    public void Of_AnyScale_EqualsTheFormula(double scale)
    {
        using DisposeScope scope = NewDisposeScope();
        var random = new Random(3);
        double[] y = [.. Enumerable.Range(0, 7).Select(_ => (double)(float)(scale * random.NextDouble()))];

        double[] actual = FocusNorm.Standardize(tensor(y).to(ScalarType.Float32)).to(ScalarType.Float64).data<double>().ToArray();

        double[] expected = NaiveLeap.Normalised(y);
        for (int k = 0; k < y.Length; k++)
            Assert.AreEqual(expected[k], actual[k], 2e-6);
    }

    [TestMethod]
    public void Of_ConstantVector_IsZeroWithAFiniteGradient()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor y = zeros([2, 4]).requires_grad_(true);

        Tensor normalised = FocusNorm.Standardize(y);
        normalised.backward([rand([2, 4])]);

        Assert.IsTrue(normalised.eq(0).all().item<bool>());
        Assert.IsTrue(y.grad!.isfinite().all().item<bool>());
    }
}
