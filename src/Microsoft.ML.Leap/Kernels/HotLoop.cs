using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>How methods with a kernel's loop are compiled.</summary>
internal static class HotLoop
{
    /// <summary>At once, by itself, and without a profile. Otherwise the compiler may find in the profile of a loop that it replaced while
    /// it ran that the loop hardly ever runs, and then calls what is in it instead of inlining it: GELU then took 8.2 ms where it takes
    /// 0.57, and a row of the loss forty times as long.</summary>
    public const MethodImplOptions Options = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
}
