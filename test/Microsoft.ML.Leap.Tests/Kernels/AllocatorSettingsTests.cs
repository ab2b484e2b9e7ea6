using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class AllocatorSettingsTests
{
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void Apply_LargeTensorFreed_MemoryStaysInTheProcess()
    {
        if (!AllocatorSettings.Apply())
            Assert.Inconclusive("This C library is not glibc, or the settings are switched off.");
        NativeBackend.EnsureLoaded();

        FillAndFree();
        long before = PageFaults();
        for (int i = 0; i < 4; i++)
            FillAndFree();

        // 64 MiB are 16,384 pages of 4 KiB; memory given back at each free would fault them all in again, four times.
        Assert.IsLessThan(4_096, PageFaults() - before);
    }

    private static void FillAndFree()
    {
        using torch.Tensor tensor = torch.ones(16 << 20);
    }

    /// <summary>Field 10 of /proc/self/stat: minor faults of the process; the name in field 2 may hold spaces.</summary>
    private static long PageFaults()
    {
        string stat = File.ReadAllText("/proc/self/stat");
        string[] afterName = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(afterName[7], System.Globalization.CultureInfo.InvariantCulture);
    }
}
