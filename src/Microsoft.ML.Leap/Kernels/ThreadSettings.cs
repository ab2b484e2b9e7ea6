namespace Microsoft.ML.Leap;

/// <summary>Lets libtorch's threads sleep while they wait for each other, instead of spinning.</summary>
/// <remarks>Every operation ends with its threads waiting for the last one. By default they wait in a loop that keeps their cores busy,
/// so that on a machine with other work each wait lasts as long as the scheduler's time slice. The variable OMP_WAIT_POLICY, set by
/// the user, decides otherwise.</remarks>
internal static class ThreadSettings
{
    /// <summary>Applies the setting; libtorch must not have been loaded before.</summary>
    internal static void Apply() => NativeEnvironment.SetDefault("OMP_WAIT_POLICY", "PASSIVE");
}
