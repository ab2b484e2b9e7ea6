using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PrecisionSelectorTests
{
    [TestMethod]
    [DataRow(TrainingPrecision.Float32, 128, 9.0, TrainingPrecision.Float32)]
    [DataRow(TrainingPrecision.BFloat16, 128, 0.1, TrainingPrecision.BFloat16)]
    [DataRow(TrainingPrecision.BFloat16, 8, 0.1, TrainingPrecision.BFloat16)]
    [DataRow(TrainingPrecision.Auto, 128, 2.0, TrainingPrecision.BFloat16)]
    [DataRow(TrainingPrecision.Auto, 128, 1.1, TrainingPrecision.Float32)]
    [DataRow(TrainingPrecision.Auto, 128, 0.0, TrainingPrecision.Float32)]
    [DataRow(TrainingPrecision.Auto, 32, 2.0, TrainingPrecision.Float32)]
    public void Choose_ByWishAndGain_Chooses(TrainingPrecision wanted, int hiddenSize, double gain, TrainingPrecision expected) =>
        Assert.AreEqual(expected, PrecisionSelector.Choose(wanted, CPU, hiddenSize, _ => gain));

    [TestMethod]
    public void Choose_FixedOrSmall_MeasuresNothing()
    {
        static double Fail(Device device) => throw new AssertFailedException("measured");
        PrecisionSelector.Choose(TrainingPrecision.Float32, CPU, 128, Fail);
        PrecisionSelector.Choose(TrainingPrecision.BFloat16, CPU, 128, Fail);
        PrecisionSelector.Choose(TrainingPrecision.Auto, CPU, 16, Fail);
    }
}
