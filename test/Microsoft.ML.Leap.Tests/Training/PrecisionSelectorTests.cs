using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PrecisionSelectorTests
{
    [TestMethod]
    [DataRow(TrainingPrecision.Float32, 128, 9.0, false)]
    [DataRow(TrainingPrecision.BFloat16, 128, 0.1, true)]
    [DataRow(TrainingPrecision.BFloat16, 8, 0.1, true)]
    [DataRow(TrainingPrecision.Auto, 128, 2.0, true)]
    [DataRow(TrainingPrecision.Auto, 128, 1.1, false)]
    [DataRow(TrainingPrecision.Auto, 128, 0.0, false)]
    [DataRow(TrainingPrecision.Auto, 32, 2.0, false)]
    public void UsesBFloat16_ByWishAndGain_Chooses(TrainingPrecision wanted, int hiddenSize, double gain, bool expected) =>
        Assert.AreEqual(expected, PrecisionSelector.UsesBFloat16(wanted, CPU, hiddenSize, _ => gain));

    [TestMethod]
    public void UsesBFloat16_FixedOrSmall_MeasuresNothing()
    {
        static double Fail(Device device) => throw new AssertFailedException("measured");
        PrecisionSelector.UsesBFloat16(TrainingPrecision.Float32, CPU, 128, Fail);
        PrecisionSelector.UsesBFloat16(TrainingPrecision.BFloat16, CPU, 128, Fail);
        PrecisionSelector.UsesBFloat16(TrainingPrecision.Auto, CPU, 16, Fail);
    }
}
