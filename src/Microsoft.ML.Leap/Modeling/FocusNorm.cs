using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Standardises each head's vector: <c>(y - mean) / (standard deviation + 1e-5)</c>, the deviation being the unbiased one.</summary>
internal static class FocusNorm
{
    private const double Epsilon = 1e-5;

    public static Tensor Of(Tensor y)
    {
        Tensor mean = y.mean([-1], keepdim: true);
        Tensor deviation = y.std(-1, unbiased: true, keepdim: true);
        return (y - mean) / (deviation + Epsilon);
    }
}
