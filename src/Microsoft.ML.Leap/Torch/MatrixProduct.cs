using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The product of a linear layer.</summary>
internal static class MatrixProduct
{
    /// <summary>Returns <c>x @ weight^T + bias</c>, [..., outputs]: in bfloat16 where that is used, else in the type of
    /// <paramref name="x"/>.</summary>
    /// <param name="x">[..., inputs].</param>
    /// <param name="weight">[outputs, inputs].</param>
    /// <param name="bias">[outputs], or null for none.</param>
    /// <param name="usesBFloat16">Whether factors and result are rounded to bfloat16; sums inside are in single precision.</param>
    public static Tensor Multiply(Tensor x, Tensor weight, Tensor? bias, bool usesBFloat16)
    {
        if (usesBFloat16)
        {
            const ScalarType type = ScalarType.BFloat16;
            return nn.functional.linear(x.to(type), weight.to(type), bias?.to(type));
        }

        return nn.functional.linear(x, weight, bias);
    }
}

/// <summary>In which precision training multiplies matrices. Weights, sums, norms, focus and loss are in single precision in any case, and
/// so is all of evaluation and scoring.</summary>
public enum TrainingPrecision
{
    /// <summary><see cref="BFloat16"/> on a CPU or CUDA GPU where it is the faster by a wide margin, which is measured once in the process and
    /// takes a fraction of a second; else, and for networks too small to gain, <see cref="Float32"/>. A resumed run keeps that of its
    /// checkpoint. A busy machine may measure otherwise from one process to the next.</summary>
    Auto,

    /// <summary>Single precision: 24 significant bits.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The field's standard term, as bfloat16 is.")]
    Float32,

    /// <summary>Factors and results of matrix products are rounded to bfloat16: 8 significant bits, and the range of single
    /// precision.</summary>
    BFloat16,
}

/// <summary>Chooses the precision of training where it is left open.</summary>
internal static class PrecisionSelector
{
    // Below this width matrix products are a small part of a step, and the conversions cost what they gain.
    private const int LeastHiddenSize = 64;

    // A gain near 1 could be measured on either side of it from run to run, and a seed would then not fix the weights.
    private const double LeastGain = 1.3;

    /// <summary>Gives the precision that is asked for, and for <see cref="TrainingPrecision.Auto"/> the faster one.</summary>
    public static TrainingPrecision Choose(TrainingPrecision wanted, Device device, int hiddenSize) =>
        Choose(wanted, device, hiddenSize, MatrixProductSpeed.BFloat16Gain);

    internal static TrainingPrecision Choose(TrainingPrecision wanted, Device device, int hiddenSize, Func<Device, double> measureGain)
    {
        if (wanted != TrainingPrecision.Auto)
            return wanted;
        return hiddenSize >= LeastHiddenSize && measureGain(device) >= LeastGain ? TrainingPrecision.BFloat16 : TrainingPrecision.Float32;
    }
}

/// <summary>How fast a device multiplies matrices.</summary>
internal static class MatrixProductSpeed
{
    private const int Size = 512;
    private const int PairCount = 7;

    private static readonly ConcurrentDictionary<string, Lazy<double>> Gains = new();

    /// <summary>Returns how many times as fast as in single precision a product is in bfloat16, the conversions of its factors and result
    /// included; 0 on devices other than CPU and CUDA. Measured once per device. Thread-safe.</summary>
    public static double BFloat16Gain(Device device) => device.type is DeviceType.CPU or DeviceType.CUDA
        ? Gains.GetOrAdd(device.ToString(), _ => new Lazy<double>(() => Measure(device))).Value
        : 0;

    private static double Measure(Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor x = ones([2 * Size, Size], ScalarType.Float32, device);
        Tensor weight = ones([Size, Size], ScalarType.Float32, device);

        // The first pair pays for what the library prepares.
        double[] gains = [.. Enumerable.Range(0, PairCount + 1).Select(_ => Seconds(x, weight, false) / Seconds(x, weight, true)).Skip(1).Order()];
        return gains[PairCount / 2];
    }

    private static double Seconds(Tensor x, Tensor weight, bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();

        // Reading a value waits for the device.
        MatrixProduct.Multiply(x, weight, null, usesBFloat16).to(x.dtype)[0, 0].item<float>();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
