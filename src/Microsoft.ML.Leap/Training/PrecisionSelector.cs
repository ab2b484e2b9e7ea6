using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Chooses the precision of training where it is left open.</summary>
internal static class PrecisionSelector
{
    // Below this width matrix products are a small part of a step, and the conversions cost what they gain.
    private const int LeastHiddenSize = 64;

    // A gain near 1 could be measured on either side of it from run to run, and a seed would then not fix the weights.
    private const double LeastGain = 1.3;

    /// <summary>Whether matrix products are to be in bfloat16.</summary>
    public static bool UsesBFloat16(TrainingPrecision wanted, Device device, int hiddenSize) =>
        UsesBFloat16(wanted, device, hiddenSize, MatrixProductSpeed.BFloat16Gain);

    internal static bool UsesBFloat16(TrainingPrecision wanted, Device device, int hiddenSize, Func<Device, double> measureGain) => wanted switch
    {
        TrainingPrecision.Float32 => false,
        TrainingPrecision.BFloat16 => true,
        _ => hiddenSize >= LeastHiddenSize && measureGain(device) >= LeastGain,
    };
}
