using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Keeps memory that large tensors free within the process, on Linux with glibc.</summary>
internal static unsafe class AllocatorSettings
{
    /// <summary>The <see cref="AppContext"/> switch that leaves the allocator alone.</summary>
    internal const string SwitchName = "Microsoft.ML.Leap.DisableAllocatorSettings";

    // Names and numbers of glibc's malloc.h.
    private const int TrimThreshold = -1;
    private const int MmapThreshold = -3;

    private static readonly Lazy<bool> Applied = new(ApplyOnce);

    /// <summary>Applies the settings once in the process.</summary>
    /// <returns>Whether the settings are in force; false on other systems and C libraries, and where the switch is on.</returns>
    internal static bool Apply() => Applied.Value;

    private static bool ApplyOnce()
    {
        if (!OperatingSystem.IsLinux() || (AppContext.TryGetSwitch(SwitchName, out bool disabled) && disabled))
            return false;

        // musl has neither this file name nor these functions.
        if (!NativeLibrary.TryLoad("libc.so.6", out nint library)
            || !NativeLibrary.TryGetExport(library, "gnu_get_libc_version", out _)
            || !NativeLibrary.TryGetExport(library, "mallopt", out nint address))
            return false;

        var mallopt = (delegate* unmanaged[Cdecl]<int, int, int>)address;
        bool keepsLargeBlocks = mallopt(MmapThreshold, 1 << 30) == 1;
        bool keepsFreeMemory = mallopt(TrimThreshold, int.MaxValue) == 1;
        return keepsLargeBlocks && keepsFreeMemory;
    }
}
