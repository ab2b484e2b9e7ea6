using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The memory of tensors on the CPU, for kernels.</summary>
internal static unsafe class RawMemory
{
    /// <summary>Returns where the values of a contiguous tensor begin; valid as long as the tensor is.</summary>
    /// <exception cref="NotSupportedException">The tensor is not contiguous or not on the CPU.</exception>
    public static void* Of(Tensor tensor)
    {
        // Native memory, which no garbage collection moves: the address outlives the block.
        fixed (byte* start = tensor.bytes)
            return start;
    }
}
