namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GenerationOptionsTests
{
    [TestMethod]
    public void Init_OutOfRange_IsRefusedByName()
    {
        Assert.AreEqual("Temperature", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new GenerationOptions { Temperature = -1 }).ParamName);
        Assert.AreEqual("Temperature", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new GenerationOptions { Temperature = double.NaN }).ParamName);
        Assert.AreEqual("TopK", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new GenerationOptions { TopK = -1 }).ParamName);
        Assert.AreEqual(
            "MaximumNewTokens", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new GenerationOptions { MaximumNewTokens = -1 }).ParamName);
    }
}
