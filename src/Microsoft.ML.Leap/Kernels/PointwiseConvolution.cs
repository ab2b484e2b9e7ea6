using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The product of a linear layer as a convolution of one point, which computes the same.</summary>
/// <remarks>torch multiplies matrices of single precision by MKL, which leaves AVX-512 unused on processors of AMD; its convolutions are
/// oneDNN's, which uses it. Measured on two cores of an EPYC with AVX-512, GFLOP/s by MKL and by oneDNN: [8192, 128] x [128, 512] 209 and
/// 490; [256, 128] x [128, 32100] 132 and 359; [64, 128] x [128, 512] 190 and 184.</remarks>
internal static class PointwiseConvolution
{
    // With fewer rows, laying out the weights takes what the product gains.
    private const long LeastRows = 128;

    private static readonly bool IsFasterHere = Avx512F.IsSupported && IsAmd();

    /// <summary>Whether to prefer it to torch's own product; only where no gradient is wanted.</summary>
    public static bool IsFaster(Tensor x) =>
        IsFasterHere && !is_grad_enabled() && x.device_type == DeviceType.CPU && x.dtype == ScalarType.Float32
        && x.numel() >= LeastRows * x.shape[^1];

    /// <inheritdoc cref="MatrixProduct.Of"/>
    public static Tensor Of(Tensor x, Tensor weight, Tensor? bias)
    {
        using DisposeScope scope = NewDisposeScope();
        long inputs = x.shape[^1];

        // Rows are the points of an image one point wide, whose channels lie side by side.
        Tensor image = x.reshape(1, -1, 1, inputs).permute(0, 3, 1, 2);
        Tensor result = nn.functional.conv2d(image, weight.view(-1, inputs, 1, 1), bias);
        return result.permute(0, 2, 3, 1).reshape([.. x.shape[..^1], weight.shape[0]]).MoveToOuterDisposeScope();
    }

    private static bool IsAmd()
    {
        (_, int first, int third, int second) = X86Base.CpuId(0, 0);
        return (first, second, third) == (Letters("Auth"), Letters("enti"), Letters("cAMD"));
    }

    private static int Letters(string four) => four[0] | four[1] << 8 | four[2] << 16 | four[3] << 24;
}
