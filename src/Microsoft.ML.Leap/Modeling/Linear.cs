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

    /// <summary>Gets or sets whether the product is in bfloat16 while training.</summary>
    public bool TrainsInBFloat16 { get; set; }

    public override Tensor forward(Tensor x) => Product(x).to(x.dtype);

    /// <summary>Multiplies, and leaves the result in the product's type, for another product to take.</summary>
    public Tensor Product(Tensor x) => MatrixProduct.Of(x, weight, bias, training && TrainsInBFloat16);
}

