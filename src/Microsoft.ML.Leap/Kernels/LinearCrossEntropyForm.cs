using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>How <see cref="LinearCrossEntropy"/> computes.</summary>
/// <param name="UsesBFloat16">Whether factors and results of its matrix products are rounded to bfloat16; all sums over them are of single
/// precision or better.</param>
internal sealed record LinearCrossEntropyForm(bool UsesBFloat16 = false)
{
    // Matrix products are about a tenth slower where their rows are no multiple of it.
    private const long RowTile = 64;

    /// <summary>Gets the bytes of logits held at a time, 96 MB by default: longer matrix products gain little.</summary>
    public long ChunkBytes { get; init; } = 3 << 25;

    /// <summary>Gets whether rows go through tensor operations even where the kernel of the CPU could take them.</summary>
    public bool IsPlain { get; init; }

    /// <summary>Gives the rows of a chunk, from the bytes of a row of logits.</summary>
    public long ChunkRows(long rowBytes)
    {
        long rows = Math.Max(1, ChunkBytes / rowBytes);
        return rows < RowTile ? rows : rows / RowTile * RowTile;
    }

    /// <summary>Gives the type of the products of weights of a type.</summary>
    public ScalarType ProductType(ScalarType weightType) => UsesBFloat16 ? ScalarType.BFloat16 : weightType;
}
