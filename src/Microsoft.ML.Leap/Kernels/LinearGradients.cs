using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Gradients of a linear layer's input, [R, d], of its matrix, [V, d], and of its bias, [V].</summary>
internal sealed record LinearGradients(Tensor Hidden, Tensor Weight, Tensor Bias);
