using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MatrixProductSpeedTests
{
    [TestMethod]
    public void BFloat16Gain_OfTheCpu_IsMeasuredOnceAndLeavesNothingBehind()
    {
        using var state = new TorchState();
        double gain = MatrixProductSpeed.BFloat16Gain(CPU);
        Assert.IsTrue(gain > 0 && double.IsFinite(gain));
        Assert.AreEqual(gain, MatrixProductSpeed.BFloat16Gain(CPU));
    }
}
