using System.Globalization;
using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class AllocatorSettingsTests
{
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [DataRow(32, DisplayName = "fits a thread's arena: the memory stays")]
    [DataRow(256, DisplayName = "fits none: huge pages")]
    public void Apply_LargeTensorFreed_NextOneFaultsLittle(int megabytes)
    {
        if (!AllocatorSettings.Apply())
            Assert.Inconclusive("This C library is not glibc, or the settings are switched off.");
        if (!HasHugePages())
            Assert.Inconclusive("The system gives no transparent huge pages.");
        NativeBackend.EnsureLoaded();
        FillAndFree(megabytes);

        long before = PageFaults();
        FillAndFree(megabytes);
        long faults = PageFaults() - before;

        long pages = (megabytes << 20) / Environment.SystemPageSize;
        Assert.IsLessThan(pages / 4, faults);
    }

    private static bool HasHugePages()
    {
        const string Setting = "/sys/kernel/mm/transparent_hugepage/enabled";
        return File.Exists(Setting) && !File.ReadAllText(Setting).Contains("[never]", StringComparison.Ordinal);
    }

    private static void FillAndFree(int megabytes)
    {
        using torch.Tensor tensor = torch.ones(megabytes << 18);
    }

    /// <summary>Field 10 of /proc/self/stat: minor faults of the process; the name in field 2 may hold spaces.</summary>
    private static long PageFaults()
    {
        string stat = File.ReadAllText("/proc/self/stat");
        string[] afterName = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(afterName[7], CultureInfo.InvariantCulture);
    }
}
