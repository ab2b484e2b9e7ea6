using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Makes large tensors cheap to allocate and free, on Linux with glibc.</summary>
/// <remarks>
/// <para>By itself glibc gives the memory of a large tensor back to the system as soon as it is freed, and the page faults of the next
/// tensor cost more than its arithmetic, above all in a virtual machine. Two calls of mallopt keep that memory in the process; but the
/// arenas of threads other than the first hold no block of 64 MB or more. So where the library is first used on such a thread, libtorch is
/// also told, by its variable THP_MEM_ALLOC_ENABLE, to ask for huge pages, which take a hundredth of the faults. A value that the user has
/// set stays. On the first thread they would gain nothing, and make the peak of a training run's memory a third larger.</para>
/// <para>Measured on a busy 2-core virtual machine, three chained sums of 64 MB tensors: 2.0 s without, 0.68 s with mallopt alone,
/// 0.21 s with both on the first thread; 1.5 s, 1.5 s and 0.16 s on another thread.</para>
/// <para>The price is that the process keeps its peak of memory. Set the <see cref="AppContext"/> switch <see cref="SwitchName"/> to true
/// before the first use of this library to leave the allocator alone.</para>
/// </remarks>
internal static unsafe class AllocatorSettings
{
    internal const string SwitchName = "Microsoft.ML.Leap.DisableAllocatorSettings";

    // Names and numbers of glibc's malloc.h.
    private const int TrimThreshold = -1;
    private const int MmapThreshold = -3;

    private static readonly Lazy<bool> Applied = new(ApplyOnce);

    /// <summary>Applies the settings once in the process; libtorch must not have allocated before. Thread-safe.</summary>
    /// <returns>Whether the settings are in force: false on other systems and C libraries, and where the switch is on.</returns>
    internal static bool Apply() => Applied.Value;

    private static bool ApplyOnce()
    {
        if (!OperatingSystem.IsLinux() || (AppContext.TryGetSwitch(SwitchName, out bool disabled) && disabled))
            return false;

        // musl has neither this file name nor these functions.
        if (!NativeLibrary.TryLoad("libc.so.6", out nint library)
            || !NativeLibrary.TryGetExport(library, "mallopt", out nint mallopt))
            return false;

        return SetOption(mallopt, MmapThreshold, 1 << 30)
            && SetOption(mallopt, TrimThreshold, int.MaxValue)
            && (NativeEnvironment.IsFirstThread || NativeEnvironment.SetDefault("THP_MEM_ALLOC_ENABLE", "1"));
    }

    private static bool SetOption(nint mallopt, int option, int value) => ((delegate* unmanaged[Cdecl]<int, int, int>)mallopt)(option, value) == 1;
}
