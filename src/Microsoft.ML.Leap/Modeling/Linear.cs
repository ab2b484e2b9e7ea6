using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A matrix product: <c>x @ weight^T</c>, and a bias where one is wanted.</summary>
internal sealed class Linear : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly Parameter? bias;

    public Linear(long inputSize, long outputSize, WeightInitializer initializer, bool hasBias = false)
        : base(nameof(Linear))
    {
        weight = initializer.Normal(outputSize, inputSize);
        bias = hasBias ? initializer.Zeros(outputSize) : null;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => nn.functional.linear(x, weight, bias);
}
