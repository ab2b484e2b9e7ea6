using System.Runtime.InteropServices;
using TorchSharp;

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

/// <summary>The process as native libraries see it. Variables set through <see cref="Environment"/> do not reach them on Linux.</summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets a variable on Linux, unless the user has set it.</summary>
    /// <returns>Whether the variable is set now, to whatever value.</returns>
    internal static bool SetDefault(string name, string value) =>
        OperatingSystem.IsLinux() && SetEnvironmentVariable(name, value, overwrite: 0) == 0;

    /// <summary>Gets whether this is the process's first thread, on Linux.</summary>
    internal static bool IsFirstThread => OperatingSystem.IsLinux() && ThreadId() == Environment.ProcessId;

    [LibraryImport("libc", EntryPoint = "gettid")]
    private static partial int ThreadId();

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironmentVariable(string name, string value, int overwrite);
}

/// <summary>Frees the small native blocks that TorchSharp leaves to the garbage collector: the scalars of <c>x * 0.5</c> and the like.</summary>
/// <remarks>They weigh next to nothing for the collector, which therefore takes dozens of training steps to come by; meanwhile each of
/// them splits the native memory that large tensors have been freed from. Measured for a network of 6 layers and a hidden size of 128,
/// 4,096 tokens per step: without this the process grew from 0.55 GB to 1.4 GB within 40 steps and kept growing; with it, it stays at
/// 0.76 GB. A call takes some 0.05 ms.</remarks>
internal static class NativeGarbage
{
    /// <summary>Collects what died young.</summary>
    public static void Collect() => GC.Collect(0);
}

/// <summary>Lets libtorch's threads sleep soon while they wait for each other, on Linux.</summary>
/// <remarks>Every operation ends with its threads waiting for the last one, and by default they spin for long: on a machine with other
/// work each wait then lasts a time slice of the scheduler. Measured on 2 cores, a training step of 2,048 tokens (6 layers, hidden size
/// 128, vocabulary 4,096): about 0.28 s either way when nothing else runs; beside three busy processes 2.0 s spinning and 0.9 s with
/// this setting. The variables GOMP_SPINCOUNT and OMP_WAIT_POLICY, set by the user, decide otherwise.</remarks>
internal static class ThreadSettings
{
    // Turns of the loop before a thread sleeps; libgomp's own default is 300,000.
    private const string SpinCount = "2000";

    /// <summary>Applies the setting; libtorch must not have been loaded before.</summary>
    internal static void Apply()
    {
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null)
            NativeEnvironment.SetDefault("GOMP_SPINCOUNT", SpinCount);
    }
}

/// <summary>Limits the threads that torch's operations on one thread take.</summary>
/// <remarks>torch's own <c>set_num_threads</c> also changes the number with which new threads of the process begin. So the libraries below it are asked, by
/// functions that libtorch for Linux makes known: OpenMP's, and that of MKL, which multiplies matrices.</remarks>
internal static unsafe class ThreadLimit
{
    private static readonly nint OpenMP = Find("omp_set_num_threads");
    private static readonly nint Mkl = Find("MKL_Set_Num_Threads_Local");

    /// <summary>Gets whether this libtorch makes both functions known.</summary>
    internal static bool IsAvailable => OpenMP != 0 && Mkl != 0;

    /// <summary>Limits the threads of operations that the current thread starts, where that is available.</summary>
    internal static void Set(int count)
    {
        if (!IsAvailable)
            return;

        // A thread's first question to torch sets the process's number, which would undo the limit later.
        torch.get_num_threads();
        ((delegate* unmanaged[Cdecl]<int, void>)OpenMP)(count);
        ((delegate* unmanaged[Cdecl]<int, int>)Mkl)(count);
    }

    private static nint Find(string function) =>
        NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out nint library) && NativeLibrary.TryGetExport(library, function, out nint address)
            ? address
            : 0;
}
