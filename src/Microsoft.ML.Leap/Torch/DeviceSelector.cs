using System.Globalization;
using TorchSharp;

namespace Microsoft.ML.Leap;

/// <summary>Chooses the device that a model trains and scores on.</summary>
internal static class DeviceSelector
{
    /// <summary>Chooses by the option, then by the context's GPU index, then CUDA if there is one, else the CPU.</summary>
    /// <param name="requested">"cpu", "cuda" or "cuda:N" with N from 0; <see langword="null"/> for no wish. "cuda" alone takes
    /// <paramref name="gpuDeviceId"/>, or the first GPU.</param>
    /// <param name="gpuDeviceId">Index of a GPU from 0, as in <see cref="MLContext.GpuDeviceId"/>, or <see langword="null"/>.</param>
    /// <param name="fallbackToCpu">Whether a GPU that is asked for and absent means a warning and the CPU, not an exception.</param>
    /// <param name="warn">Takes the warning.</param>
    /// <exception cref="ArgumentException"><paramref name="requested"/> is none of these.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="gpuDeviceId"/> is negative.</exception>
    /// <exception cref="InvalidOperationException">The GPU is not there, or the native library cannot be loaded.</exception>
    internal static torch.Device Select(string? requested, int? gpuDeviceId, bool fallbackToCpu, Action<string> warn)
    {
        NativeBackend.EnsureLoaded();
        return Select(requested, gpuDeviceId, fallbackToCpu, warn, CountGpus);
    }

    internal static torch.Device Select(string? requested, int? gpuDeviceId, bool fallbackToCpu, Action<string> warn, Func<int> countGpus)
    {
        if (gpuDeviceId is { } id)
            ArgumentOutOfRangeException.ThrowIfNegative(id, nameof(gpuDeviceId));

        if (requested == "cpu")
            return torch.CPU;

        int? wanted = requested switch
        {
            null => gpuDeviceId,
            "cuda" => gpuDeviceId ?? 0,
            _ => ParseIndex(requested),
        };
        if (wanted is null)
            return countGpus() > 0 ? Gpu(0) : torch.CPU;

        int count = countGpus();
        if (wanted < count)
            return Gpu(wanted.Value);

        string problem = Describe(requested ?? $"GPU {wanted}", count);
        if (!fallbackToCpu)
            throw new InvalidOperationException($"{problem}, or set FallbackToCpu to compute on the CPU.");

        warn($"{problem}. Computing on the CPU.");
        return torch.CPU;
    }

    private static int ParseIndex(string requested)
    {
        const string Prefix = "cuda:";
        if (requested.StartsWith(Prefix, StringComparison.Ordinal)
            && int.TryParse(requested.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int index))
            return index;

        throw new ArgumentException($"The device is '{requested}'; expected cpu, cuda, or cuda:N with N from 0.", nameof(requested));
    }

    private static string Describe(string asked, int count) => count switch
    {
        0 => $"{asked} was asked for, and torch sees no CUDA GPU here. Bring a CUDA backend with the application (build with "
            + "-p:TorchBackend=cuda, or reference TorchSharp-cuda-linux or TorchSharp-cuda-windows) and an NVIDIA driver",
        1 => $"{asked} was asked for, and torch sees 1 CUDA GPU here, cuda:0. Choose that one",
        _ => $"{asked} was asked for, and torch sees {count} CUDA GPUs here, cuda:0 to cuda:{count - 1}. Choose one of these",
    };

    private static torch.Device Gpu(int index) => new(DeviceType.CUDA, index);

    private static int CountGpus() => torch.cuda.is_available() ? torch.cuda.device_count() : 0;
}
