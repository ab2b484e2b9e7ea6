using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A table of vectors, one a row.</summary>
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
