using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>One number for a token's focus in a head: how much of what the head let through came from the token, as a multiple of an even
/// part.</summary>
/// <remarks>
/// <para><c>focus_j = mean over the positions i that see j of  a_i * c_i * f_j / S_i</c>, where <c>f_j / S_i</c> is the token's share of
/// window i, <c>S_i</c> the window's sum of f, <c>c_i</c> its number of tokens, and <c>a_i</c> the position's gate.</para>
/// <para>Times c_i, because a share alone compares windows of different sizes: the first tokens of a text and the layers with narrow windows
/// would win by that alone. Times a_i, because what a closed gate keeps out reaches no output.</para>
/// </remarks>
internal static class FocusAggregate
{
    /// <summary>Aggregates a layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="positions">1 at the positions that count as looking, 0 at others, such as padding: double [B, N, 1].</param>
    /// <returns>Double [B, N, H]; 0 for a token that no such position sees.</returns>
    public static Tensor Of(LayerFocus layer, Tensor positions)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor f = layer.Weights.to(ScalarType.Float64);
        Tensor counts = arange(1, f.shape[1] + 1, ScalarType.Float64, f.device).clamp_(max: layer.Window).view(1, -1, 1);
        Tensor looking = positions * layer.Gates * counts / WindowedSum.Of(f, layer.Window);
        Tensor seenBy = Future(positions, layer.Window).clamp_(min: 1);
        return (f * Future(looking, layer.Window) / seenBy).MoveToOuterDisposeScope();
    }

    private static Tensor Future(Tensor x, int window) => WindowedSum.Of(x.flip(1), window).flip(1);
}
