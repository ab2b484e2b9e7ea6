using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>The exponentials of logits, for softmax over one row on one thread.</summary>
internal static unsafe class SoftmaxWeights
{
    /// <summary>Writes <c>exp((logit - maximum) * scale)</c> for each logit.</summary>
    /// <param name="logits">The logits; an infinitely small one gets at most 1.2e-38.</param>
    /// <param name="maximum">The greatest of them.</param>
    /// <param name="scale">What differences are multiplied by, over 0.</param>
    /// <param name="weights">As many as there are logits.</param>
    /// <returns>Their sum.</returns>
    public static double Write(ReadOnlySpan<float> logits, float maximum, float scale, Span<float> weights)
    {
        fixed (float* from = logits, to = weights)
        {
            return Vector512.IsHardwareAccelerated
                ? Run<RowVector512>(from, maximum, scale, to, logits.Length)
                : Run<RowVector256>(from, maximum, scale, to, logits.Length);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static double Run<TVector>(float* logits, float maximum, float scale, float* weights, int count)
        where TVector : struct, IRowVector<TVector>
    {
        double sum = 0;
        int i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
        {
            TVector weight = RowExponential.Of((TVector.Load(logits + i) - TVector.Create(maximum)) * TVector.Create(scale));
            weight.Store(weights + i);
            sum += weight.Sum();
        }

        for (; i < count; i++)
            sum += weights[i] = MathF.Exp((logits[i] - maximum) * scale);
        return sum;
    }
}
