using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>How <see cref="LinearCrossEntropy"/> computes.</summary>
/// <param name="ProductType">The type of its matrix products' factors and results; all sums over them are of single precision or better.</param>
internal sealed record LinearCrossEntropyForm(ScalarType ProductType = ScalarType.Float32)
{
    /// <summary>Gets the bytes of logits held at a time, 32 MB by default: longer matrix products gain no speed.</summary>
    public long ChunkBytes { get; init; } = 1 << 25;

    /// <summary>Gets whether rows go through tensor operations even where the kernel of the CPU could take them.</summary>
    public bool IsPlain { get; init; }

    /// <summary>Gets the logits held at a time.</summary>
    public long ChunkSize => ChunkBytes / ProductType.ElementSize();
}
