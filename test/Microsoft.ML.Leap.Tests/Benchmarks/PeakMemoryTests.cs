using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PeakMemoryTests
{
    [TestMethod]
    public void ReadKilobytes_OfAStatusFile_TakesThePeakOfResidentMemory() =>
        Assert.AreEqual(123456, PeakMemory.ReadKilobytes(["Name:\tx", "VmPeak:\t  999 kB", "VmHWM:\t  123456 kB", "VmRSS:\t 100 kB"]));

    [TestMethod]
    public void Megabytes_AfterTouchingMoreMemory_IsHigher()
    {
        double before = PeakMemory.Megabytes;
        byte[] touched = new byte[1 << 29];
        Array.Fill(touched, (byte)1);
        GC.KeepAlive(touched);

        // Half a gigabyte over what is held now; the peak itself may be older than this test.
        Assert.IsTrue(PeakMemory.Megabytes >= Math.Max(before, 512), $"{PeakMemory.Megabytes} after {before}");
    }
}
