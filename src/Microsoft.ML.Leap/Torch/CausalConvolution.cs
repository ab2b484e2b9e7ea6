using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A depthwise causal convolution: each value becomes a weighted sum of its own channel over the last few tokens,
/// <c>y_t = sum over k of w_k * n_(t-k)</c>. Tokens before the start of a sequence, or of its document, count as 0.</summary>
/// <remarks>It begins as the identity.</remarks>
internal sealed class CausalConvolution : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    /// <param name="size">Tokens that it sees, at least 1.</param>
    /// <param name="width">Values per token, d.</param>
    /// <param name="initializer">Says where the weights live.</param>
    public CausalConvolution(int size, long width, WeightInitializer initializer)
        : base(nameof(CausalConvolution))
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        weight = initializer.Zeros(size, width);
        weight.narrow(0, 0, 1).copy_(ones([1, width], ScalarType.Float32, initializer.Device));
        weight.MoveToOuterDisposeScope();
        RegisterComponents();
    }

    public override Tensor forward(Tensor n) => Forward(n, n.dtype, null);

    /// <summary>Convolves within documents.</summary>
    /// <param name="n">[B, N, d].</param>
    /// <param name="type">The result's type: that of the products that take it.</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Forward(Tensor n, ScalarType type, PackedDocuments? documents)
    {
        return RawMemory.IsReachable(n) ? FusedConvolution.Convolve(n, weight, new ConvolutionShape(n, weight, type, documents))
            : documents is not null ? throw new NotSupportedException("Packed documents are for the fused convolution.")
            : Reference(n, weight).to(type);
    }

    /// <summary>Convolves by tensor operations, on any device and in any precision: what <see cref="FusedConvolution"/> must equal.</summary>
    /// <param name="n">[B, N, d].</param>
    /// <param name="weight">[size, d]; row k is for the token k places back.</param>
    /// <returns>[B, N, d].</returns>
    public static Tensor Reference(Tensor n, Tensor weight)
    {
        using DisposeScope scope = NewDisposeScope();
        (long batch, long length, long width) = (n.shape[0], n.shape[1], n.shape[2]);
        Tensor y = n * weight[0];
        for (long k = 1; k < Math.Min(weight.shape[0], length); k++)
        {
            Tensor before = cat([zeros([batch, k, width], n.dtype, n.device), n.narrow(1, 0, length - k)], 1);
            y = y.Plus(before * weight[k]);
        }

        return y.MoveToOuterDisposeScope();
    }
}

/// <summary>What a convolution computes on, apart from its numbers.</summary>
/// <param name="Rows">Tokens of all sequences.</param>
/// <param name="Length">Tokens of a sequence.</param>
/// <param name="Width">Values of a token: d.</param>
/// <param name="Size">Tokens that it sees.</param>
/// <param name="Type">The result's type: single precision or bfloat16.</param>
/// <param name="Documents">The documents that the one sequence is made of; null for none.</param>
internal sealed record ConvolutionShape(int Rows, int Length, int Width, int Size, ScalarType Type, PackedDocuments? Documents)
{
    public ConvolutionShape(Tensor n, Tensor weight, ScalarType type, PackedDocuments? documents)
        : this((int)(n.shape[0] * n.shape[1]), (int)n.shape[1], (int)n.shape[2], (int)weight.shape[0], type, documents)
    {
    }

    /// <summary>Counts the tokens before a row that it sees.</summary>
    /// <param name="row">The row.</param>
    /// <param name="countOfLast">The count of the row before it.</param>
    public int CountBefore(int row, int countOfLast) => Starts(row) ? 0 : Math.Min(countOfLast + 1, Size - 1);

    /// <summary>Counts the tokens before a row that it sees.</summary>
    public int CountBefore(int row)
    {
        int count = 0;
        while (count < Size - 1 && !Starts(row - count))
            count++;
        return count;
    }

    /// <summary>Counts the tokens after a row that see it.</summary>
    /// <param name="row">The row.</param>
    /// <param name="countOfLast">The count of the row before it, or 0.</param>
    public int CountAfter(int row, int countOfLast)
    {
        int count = Math.Max(0, countOfLast - 1);
        while (count < Size - 1 && row + count + 1 < Rows && !Starts(row + count + 1))
            count++;
        return count;
    }

    private bool Starts(int row) => Documents is null ? row % Length == 0 : Documents.Starts[row];
}
