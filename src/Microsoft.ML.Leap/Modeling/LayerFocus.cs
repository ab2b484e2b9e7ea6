using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What one layer's heads focused on in one pass.</summary>
/// <param name="Window">The layer's window in tokens.</param>
/// <param name="Weights">The focus weights f, [B, N, H]; 0 at padding.</param>
/// <param name="Gates">The gates a, [B, N, H]; between 0 and 1.</param>
internal sealed record LayerFocus(int Window, Tensor Weights, Tensor Gates);
