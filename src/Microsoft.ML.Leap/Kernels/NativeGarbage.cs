namespace Microsoft.ML.Leap;

/// <summary>Frees the small native blocks that TorchSharp leaves to the garbage collector: the scalars of <c>x * 0.5</c> and the like.</summary>
/// <remarks>They weigh next to nothing for the collector, which therefore takes dozens of training steps to come by; meanwhile each of
/// them splits the native memory that large tensors have been freed from. Measured for a network of 6 layers and a hidden size of 128,
/// 4,096 tokens a step: without this the process grew from 0.55 GB to 1.4 GB within 40 steps and kept growing; with it, it stays at
/// 0.76 GB. A call takes some 0.05 ms.</remarks>
internal static class NativeGarbage
{
    /// <summary>Collects what died young.</summary>
    public static void Collect() => GC.Collect(0);
}
