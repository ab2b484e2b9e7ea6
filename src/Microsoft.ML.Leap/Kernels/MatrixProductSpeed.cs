using System.Collections.Concurrent;
using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>How fast a device multiplies matrices.</summary>
internal static class MatrixProductSpeed
{
    private const int Size = 512;
    private const int PairCount = 7;

    private static readonly ConcurrentDictionary<string, Lazy<double>> Gains = new();

    /// <summary>Returns how many times as fast as in single precision a product is in bfloat16, the conversions of its factors and result
    /// included; 0 on devices other than CPU and CUDA. Measured once a device. Thread-safe.</summary>
    public static double BFloat16Gain(Device device) => device.type is DeviceType.CPU or DeviceType.CUDA
        ? Gains.GetOrAdd(device.ToString(), _ => new Lazy<double>(() => Measure(device))).Value
        : 0;

    private static double Measure(Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor x = full([2 * Size, Size], 0.5f, ScalarType.Float32, device);
        Tensor weight = full([Size, Size], 0.5f, ScalarType.Float32, device);

        // The first pair pays for what the library prepares.
        double[] gains = [.. Enumerable.Range(0, PairCount + 1).Select(_ => Seconds(x, weight, false) / Seconds(x, weight, true)).Skip(1).Order()];
        return gains[PairCount / 2];
    }

    private static double Seconds(Tensor x, Tensor weight, bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();

        // Reading a value waits for the device.
        MatrixProduct.Of(x, weight, null, usesBFloat16).to(x.dtype)[0, 0].item<float>();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
