using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Standardises each head's vector: <c>(y - mean) / (standard deviation + 1e-5)</c>, the deviation being the unbiased one.</summary>
internal static class FocusNorm
{
    private const double Epsilon = 1e-5;

    public static Tensor Of(Tensor y)
    {
        Tensor centered = y - y.mean([-1], keepdim: true);

        // torch's own std is several times slower. A norm, unlike a square root, has the gradient 0 where it is 0.
        Tensor deviation = linalg.vector_norm(centered, 2, [-1], keepdim: true) / Math.Sqrt(y.shape[^1] - 1);
        return centered / (deviation + Epsilon);
    }
}
