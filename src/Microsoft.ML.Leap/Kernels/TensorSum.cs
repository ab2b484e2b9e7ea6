using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The sum of two tensors, safe against a garbage collection by another thread.</summary>
/// <remarks>TorchSharp's <c>x + y</c> makes a scalar 1 that nothing refers to any more once its native pointer is read: where another thread
/// sets off a collection at that moment, it is freed while the native sum reads it, and the sum throws.</remarks>
internal static class TensorSum
{
    private static readonly Scalar One = 1.ToScalar();

    /// <summary>Returns x + y.</summary>
    public static Tensor Of(Tensor x, Tensor y) => x.add(y, One);

    /// <summary>Adds y to x in place.</summary>
    public static void Into(Tensor x, Tensor y) => x.add_(y, One);
}
