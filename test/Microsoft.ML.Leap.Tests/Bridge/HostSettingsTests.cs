using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class HostSettingsTests
{
    [TestMethod]
    public void Read_ContextAndItsHosts_ReadsWhatWasSet()
    {
        var context = new MLContext(seed: 7) { GpuDeviceId = 3, FallbackToCpu = true, TempFilePath = "/some/where" };
        var expected = new HostSettings(3, true, "/some/where");

        Assert.AreEqual(expected, HostSettings.Read(context));
        Assert.AreEqual(expected, HostSettings.Read(((IHostEnvironment)context).Register("part")));
    }

    [TestMethod]
    public void Read_FreshContext_GivesMLNetsDefaults()
    {
        HostSettings settings = HostSettings.Read(new MLContext());
        Assert.IsNull(settings.GpuDeviceId);
        Assert.IsFalse(settings.FallbackToCpu);
    }

    [TestMethod]
    public void Read_Null_Throws() => Assert.ThrowsExactly<ArgumentNullException>(() => HostSettings.Read(null!));
}
