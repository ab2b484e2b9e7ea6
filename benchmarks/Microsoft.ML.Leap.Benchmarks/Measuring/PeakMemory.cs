using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The most memory that this process has held so far.</summary>
internal static class PeakMemory
{
    private const string StatusFile = "/proc/self/status";
    private const string PeakOfResidentMemory = "VmHWM:";

    /// <summary>Gets it in megabytes (2^20 bytes), libraries and runtime included.</summary>
    public static double Megabytes
    {
        get
        {
            if (File.Exists(StatusFile))
                return ReadKilobytes(File.ReadLines(StatusFile)) / 1024.0;
            using Process self = Process.GetCurrentProcess();
            return self.PeakWorkingSet64 / (double)(1 << 20);
        }
    }

    // A line such as "VmHWM:     123456 kB".
    internal static long ReadKilobytes(IEnumerable<string> status)
    {
        string line = status.First(text => text.StartsWith(PeakOfResidentMemory, StringComparison.Ordinal));
        string number = line[PeakOfResidentMemory.Length..].Replace("kB", "", StringComparison.Ordinal);
        return long.Parse(number, CultureInfo.InvariantCulture);
    }
}
