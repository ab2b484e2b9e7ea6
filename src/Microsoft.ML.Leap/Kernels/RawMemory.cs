using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The memory of tensors, for kernels that compute on it directly.</summary>
/// <remarks>A pointer is good for as long as its tensor lives.</remarks>
internal static unsafe class RawMemory
{
    /// <summary>Tells whether kernels can compute on a tensor: single precision, on the CPU.</summary>
    public static bool IsReachable(Tensor x) => x.dtype == ScalarType.Float32 && x.device_type == DeviceType.CPU;

    /// <summary>Tells whether kernels that read any <see cref="IRowFormat{TValue}"/> can compute on a tensor: single precision or bfloat16, on
    /// the CPU.</summary>
    public static bool HoldsRows(Tensor x) => x.device_type == DeviceType.CPU && (x.dtype is ScalarType.Float32 or ScalarType.BFloat16);

    public static float* Singles(Tensor x) => (float*)First(x, ScalarType.Float32);

    public static ushort* BFloat16s(Tensor x) => (ushort*)First(x, ScalarType.BFloat16);

    public static long* Integers(Tensor x) => (long*)First(x, ScalarType.Int64);

    public static bool* Booleans(Tensor x) => (bool*)First(x, ScalarType.Bool);

    private static void* First(Tensor x, ScalarType type)
    {
        if (x.dtype != type || x.device_type != DeviceType.CPU || !x.is_contiguous())
            throw new ArgumentException($"Expected a contiguous {type} tensor on the CPU, but got {x.dtype} on {x.device_type}.", nameof(x));

        // A span over all of it could hold no more than 2 GB, and a storage's address leaves the tensor's offset out.
        using Tensor flat = x.view(-1);
        using Tensor first = flat.narrow(0, 0, Math.Min(1, flat.shape[0]));
        fixed (byte* pointer = first.bytes)
            return pointer;
    }
}
