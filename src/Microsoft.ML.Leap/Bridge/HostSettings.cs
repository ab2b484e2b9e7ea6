using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap;

/// <summary>What a user set on the <see cref="MLContext"/> and ML.NET keeps to itself.</summary>
/// <param name="Seed">The seed given to the context; <see langword="null"/> for none.</param>
/// <param name="GpuDeviceId">The GPU asked for; <see langword="null"/> for none in particular.</param>
/// <param name="FallbackToCpu">Whether the CPU may stand in for a GPU that is asked for and absent.</param>
/// <param name="TempFilePath">The folder for temporary files.</param>
internal sealed record HostSettings(int? Seed, int? GpuDeviceId, bool FallbackToCpu, string TempFilePath)
{
    /// <summary>Reads the settings of an environment; defaults for one that is not ML.NET's own.</summary>
    public static HostSettings Read(IHostEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return environment is IHostEnvironmentInternal host
            ? new HostSettings(host.Seed, host.GpuDeviceId, host.FallbackToCpu, host.TempFilePath)
            : new HostSettings(null, null, FallbackToCpu: false, Path.GetTempPath());
    }

    /// <summary>Whether <c>MLContext.CancelExecution</c> was called while the host lived.</summary>
    public static bool IsCancelled(IHostEnvironment environment) => environment is ICancelable { IsCanceled: true };
}
