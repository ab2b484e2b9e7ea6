using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class HostSettingsTests
{
    [TestMethod]
    public void Of_ContextAndItsHosts_ReadsWhatWasSet()
    {
        var context = new MLContext(seed: 7) { GpuDeviceId = 3, FallbackToCpu = true, TempFilePath = "/some/where" };
        var expected = new HostSettings(7, 3, true, "/some/where");

        Assert.AreEqual(expected, HostSettings.Read(context));
        HostSettings registered = HostSettings.Read(((IHostEnvironment)context).Register("part"));
        Assert.AreEqual(expected with { Seed = registered.Seed }, registered);
    }

    [TestMethod]
    public void Of_FreshContext_GivesMLNetsDefaults()
    {
        HostSettings settings = HostSettings.Read(new MLContext());
        Assert.IsNull(settings.Seed);
        Assert.IsNull(settings.GpuDeviceId);
    }

    [TestMethod]
    public void Of_Null_Throws() => Assert.ThrowsExactly<ArgumentNullException>(() => HostSettings.Read(null!));
}
