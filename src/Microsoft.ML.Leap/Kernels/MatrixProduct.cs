using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The product of a linear layer.</summary>
internal static class MatrixProduct
{
    /// <summary>Returns <c>x @ weight^T + bias</c>, [..., outputs]: in bfloat16 where that is used, else in the type of
    /// <paramref name="x"/>.</summary>
    /// <param name="x">[..., inputs].</param>
    /// <param name="weight">[outputs, inputs].</param>
    /// <param name="bias">[outputs], or null for none.</param>
    /// <param name="usesBFloat16">Whether factors and result are rounded to bfloat16; sums inside are in single precision.</param>
    public static Tensor Of(Tensor x, Tensor weight, Tensor? bias, bool usesBFloat16)
    {
        if (usesBFloat16)
        {
            const ScalarType type = ScalarType.BFloat16;
            return nn.functional.linear(x.to(type), weight.to(type), bias?.to(type));
        }

        return nn.functional.linear(x, weight, bias);
    }
}
