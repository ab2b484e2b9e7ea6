using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>Layer norm of one vector over raw memory: <c>(x - mean) / sqrt(variance + 1e-5) * weight + bias</c> (Ba, Kiros and Hinton 2016).</summary>
internal static unsafe class LayerNormKernel
{
    private const float Epsilon = 1e-5f;

    /// <summary>Writes the norm of <paramref name="x"/> to <paramref name="y"/>, which may be the same.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void Run(float* x, float* weight, float* bias, float* y, int size)
    {
        float mean = Sum(x, 0, size, squares: false) / size;
        float variance = Sum(x, mean, size, squares: true) / size;
        float scale = 1 / MathF.Sqrt(variance + Epsilon);
        int k = 0;
        for (; k <= size - Vector<float>.Count; k += Vector<float>.Count)
        {
            Vector<float> centered = (Vector.Load(x + k) - new Vector<float>(mean)) * scale;
            Vector.Store(centered * Vector.Load(weight + k) + Vector.Load(bias + k), y + k);
        }

        for (; k < size; k++)
            y[k] = (x[k] - mean) * scale * weight[k] + bias[k];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum(float* x, float mean, int size, bool squares)
    {
        Vector<float> sums = Vector<float>.Zero;
        int k = 0;
        for (; k <= size - Vector<float>.Count; k += Vector<float>.Count)
        {
            Vector<float> value = Vector.Load(x + k) - new Vector<float>(mean);
            sums += squares ? value * value : value;
        }

        float sum = Vector.Sum(sums);
        for (; k < size; k++)
            sum += squares ? (x[k] - mean) * (x[k] - mean) : x[k] - mean;
        return sum;
    }
}
