using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A matrix product without a bias: <c>x @ weight^T</c>.</summary>
internal sealed class Linear : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    public Linear(long inputSize, long outputSize, WeightInitializer initializer)
        : base(nameof(Linear))
    {
        weight = initializer.Normal(outputSize, inputSize);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => nn.functional.linear(x, weight);
}
