using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The output layer: a bias of its own, and the word embedding's matrix, which stays a parameter of the embedding alone.</summary>
internal sealed class TiedHead : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly Parameter bias;

    public TiedHead(long vocabularySize, WeightInitializer initializer)
        : base(nameof(TiedHead))
    {
        bias = initializer.Zeros(vocabularySize);
        RegisterComponents();
    }

    /// <summary>Gets the bias, [V].</summary>
    public Parameter Bias => bias;

    public override Tensor forward(Tensor hidden, Tensor embedding) => nn.functional.linear(hidden, embedding, bias);
}
