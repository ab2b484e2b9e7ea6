using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What the forward pass of LEAP attention keeps for the backward pass, beside its input.</summary>
/// <param name="Means">M before dropout, [B, H, N, padded e].</param>
/// <param name="Focus">f, [B, H, N].</param>
/// <param name="Totals">The sum of f in each token's window, [B, H, N].</param>
internal sealed record LeapSaved(Tensor Means, Tensor Focus, Tensor Totals)
{
    public static LeapSaved For(LeapShape shape)
    {
        long[] tokens = [shape.BatchSize, shape.HeadCount, shape.Length];
        return new LeapSaved(
            empty([.. tokens, shape.RowSize], ScalarType.Float32, CPU),
            empty(tokens, ScalarType.Float32, CPU),
            empty(tokens, ScalarType.Float32, CPU));
    }
}
