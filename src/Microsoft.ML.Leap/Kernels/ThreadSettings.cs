namespace Microsoft.ML.Leap;

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
