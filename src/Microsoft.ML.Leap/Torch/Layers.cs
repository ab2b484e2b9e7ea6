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
    public Tensor Product(Tensor x) => MatrixProduct.Multiply(x, weight, bias, training && TrainsInBFloat16);
}

/// <summary>A table of vectors, one per row.</summary>
internal sealed class Embedding : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    public Embedding(long rowCount, long size, WeightInitializer initializer)
        : base(nameof(Embedding))
    {
        weight = initializer.Normal(rowCount, size);
        RegisterComponents();
    }

    /// <summary>Gets the whole table, [rows, size].</summary>
    public Parameter Weight => weight;

    /// <summary>Looks up the rows of <paramref name="ids"/>, [...] of int64, and returns [..., size].</summary>
    public override Tensor forward(Tensor ids) =>
        weight.index_select(0, ids.reshape(-1)).view([.. ids.shape, weight.shape[1]]);
}

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

/// <summary>Makes initial weights: drawn on the CPU from a generator of its own, so that a seed gives the same on every device.</summary>
internal sealed class WeightInitializer(double standardDeviation, Device device, long seed) : IDisposable
{
    private readonly Generator _generator = new(unchecked((ulong)seed), CPU);

    public Device Device => device;

    public Parameter Normal(params long[] shape)
    {
        using Tensor drawn = empty(shape, ScalarType.Float32, CPU).normal_(0, standardDeviation, _generator);
        return new Parameter(drawn.to(device, copy: true), requires_grad: true);
    }

    public Parameter Zeros(params long[] shape) => new(zeros(shape, ScalarType.Float32, device), requires_grad: true);

    public void Dispose() => _generator.Dispose();
}
