using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>The functions of the network over raw memory, in whole SIMD vectors of the widest kind that the processor has.</summary>
internal static unsafe class VectorMath
{
    private const float LayerNormEpsilon = 1e-5f;

    /// <summary>The exponential function, by the polynomial of Cephes' expf (S. Moshier): within 3e-7 of the value. Measured with vectors of
    /// 256 bits, 0.25 ns per number where .NET's own takes 0.30.</summary>
    /// <remarks>Results below the least normal number, 1.2e-38, are that number; NaN stays.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Exp<TVector>(TVector x)
        where TVector : struct, ISimdVector<TVector>
    {
        const float least = -87.33654f;

        // From here on the result is infinite.
        const float most = 89;
        const float inverseLog2 = 1.44269504f;

        // ln 2 in two parts, so that its multiples lose no digits.
        const float log2High = 0.693359375f;
        const float log2Low = -2.12194440e-4f;

        // exp(x) = 2^n exp(r), |r| at most half of ln 2.
        x = TVector.Clamp(x, TVector.Create(least), TVector.Create(most));
        TVector n = TVector.Floor(TVector.MultiplyAdd(x, TVector.Create(inverseLog2), TVector.Create(0.5f)));
        TVector r = TVector.MultiplyAdd(n, TVector.Create(-log2High), x);
        r = TVector.MultiplyAdd(n, TVector.Create(-log2Low), r);

        TVector p = TVector.Create(1.9875691500e-4f);
        p = TVector.MultiplyAdd(p, r, TVector.Create(1.3981999507e-3f));
        p = TVector.MultiplyAdd(p, r, TVector.Create(8.3334519073e-3f));
        p = TVector.MultiplyAdd(p, r, TVector.Create(4.1665795894e-2f));
        p = TVector.MultiplyAdd(p, r, TVector.Create(1.6666665459e-1f));
        p = TVector.MultiplyAdd(p, r, TVector.Create(5.0000001201e-1f));
        return TVector.ScaleByPowerOfTwo(TVector.MultiplyAdd(p, r * r, r + TVector.Create(1)), n);
    }

    /// <summary>The normal distribution: its probability below x and its density at x.</summary>
    /// <remarks>The tail beyond |x| is a polynomial in 1 / (1 + p |x|) times exp(-x^2 / 2), within 7.5e-8 (Abramowitz and Stegun, Handbook of
    /// Mathematical Functions, 26.2.17).</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector NormalProbability<TVector>(TVector x, out TVector density)
        where TVector : struct, ISimdVector<TVector>
    {
        const float p = 0.2316419f;
        const float b1 = 0.319381530f, b2 = -0.356563782f, b3 = 1.781477937f, b4 = -1.821255978f, b5 = 1.330274429f;

        // 1 / sqrt(2 pi), the density at 0.
        const float densityAtZero = 0.39894228f;

        density = Exp(x * x * TVector.Create(-0.5f)) * TVector.Create(densityAtZero);
        TVector t = TVector.Create(1) / TVector.MultiplyAdd(TVector.Absolute(x), TVector.Create(p), TVector.Create(1));
        TVector tail = TVector.MultiplyAdd(TVector.Create(b5), t, TVector.Create(b4));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(b3));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(b2));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(b1)) * t * density;

        var half = TVector.Create(0.5f);
        return half + TVector.CopySign(half - tail, x);
    }

    /// <summary>Replaces each value by its exponential.</summary>
    public static void Exp(float* values, int count)
    {
        if (Vector512.IsHardwareAccelerated)
            Apply<SimdVector512, ExpFunction>(values, count);
        else if (Vector256.IsHardwareAccelerated)
            Apply<SimdVector256, ExpFunction>(values, count);
        else
            Apply<SimdVector128, ExpFunction>(values, count);
    }

    /// <summary>Replaces each value x by 1 / (1 + exp(-x)).</summary>
    public static void Sigmoid(float* values, int count)
    {
        if (Vector512.IsHardwareAccelerated)
            Apply<SimdVector512, SigmoidFunction>(values, count);
        else if (Vector256.IsHardwareAccelerated)
            Apply<SimdVector256, SigmoidFunction>(values, count);
        else
            Apply<SimdVector128, SigmoidFunction>(values, count);
    }

    /// <summary>Replaces each value x by x times the normal distribution's probability below x: GELU (Hendrycks and Gimpel 2016), the exact
    /// one.</summary>
    public static void Gelu(float* values, int count)
    {
        if (Vector512.IsHardwareAccelerated)
            Apply<SimdVector512, GeluFunction>(values, count);
        else if (Vector256.IsHardwareAccelerated)
            Apply<SimdVector256, GeluFunction>(values, count);
        else
            Apply<SimdVector128, GeluFunction>(values, count);
    }

    /// <summary>Writes <c>(x - mean) / sqrt(variance + 1e-5) * weight + bias</c> (Ba, Kiros and Hinton 2016) of each row.</summary>
    /// <param name="x">[rows, size].</param>
    /// <param name="weight">[size].</param>
    /// <param name="bias">[size].</param>
    /// <param name="y">[rows, size]; may be <paramref name="x"/>.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="size">Values per row.</param>
    public static void LayerNorm(float* x, float* weight, float* bias, float* y, int rows, int size)
    {
        if (Vector512.IsHardwareAccelerated)
            LayerNorm<SimdVector512>(x, weight, bias, y, rows, size);
        else if (Vector256.IsHardwareAccelerated)
            LayerNorm<SimdVector256>(x, weight, bias, y, rows, size);
        else
            LayerNorm<SimdVector128>(x, weight, bias, y, rows, size);
    }

    /// <summary>Adds <paramref name="summand"/> to <paramref name="sum"/>, value by value.</summary>
    public static void Add(float* sum, float* summand, long count)
    {
        if (Vector512.IsHardwareAccelerated)
            Add<SimdVector512>(sum, summand, count);
        else if (Vector256.IsHardwareAccelerated)
            Add<SimdVector256>(sum, summand, count);
        else
            Add<SimdVector128>(sum, summand, count);
    }

    /// <summary>Returns the largest of at least one value.</summary>
    public static float Max(float* values, int count)
    {
        return Vector512.IsHardwareAccelerated ? Max<SimdVector512>(values, count)
            : Vector256.IsHardwareAccelerated ? Max<SimdVector256>(values, count)
            : Max<SimdVector128>(values, count);
    }

    /// <summary>Returns the sum of <c>exp(logit - maximum)</c>.</summary>
    /// <param name="logits">At most a few thousand: sums are taken in single precision in each place of a SIMD vector.</param>
    /// <param name="maximum">The greatest of them.</param>
    /// <param name="count">How many there are.</param>
    public static double SumExp(float* logits, float maximum, int count)
    {
        return Vector512.IsHardwareAccelerated ? SumExp<SimdVector512>(logits, maximum, count)
            : Vector256.IsHardwareAccelerated ? SumExp<SimdVector256>(logits, maximum, count)
            : SumExp<SimdVector128>(logits, maximum, count);
    }

    /// <summary>Gives the natural logarithm of the sum of the exponentials of logits.</summary>
    /// <param name="logits">The logits.</param>
    /// <param name="maximum">The greatest of them.</param>
    public static double LogSumExp(ReadOnlySpan<float> logits, float maximum)
    {
        fixed (float* from = logits)
            return maximum + Math.Log(SumExp(from, maximum, logits.Length));
    }

    /// <summary>Writes <c>exp((logit - maximum) * scale)</c> for each logit: what softmax divides by their sum.</summary>
    /// <param name="logits">The logits; an infinitely small one gets at most 1.2e-38.</param>
    /// <param name="maximum">The greatest of them.</param>
    /// <param name="scale">What differences are multiplied by, over 0.</param>
    /// <param name="weights">As many as there are logits; may be <paramref name="logits"/>.</param>
    /// <returns>Their sum.</returns>
    public static double WriteSoftmaxWeights(ReadOnlySpan<float> logits, float maximum, float scale, Span<float> weights)
    {
        fixed (float* from = logits, to = weights)
        {
            return Vector512.IsHardwareAccelerated ? WriteSoftmaxWeights<SimdVector512>(from, maximum, scale, to, logits.Length)
                : Vector256.IsHardwareAccelerated ? WriteSoftmaxWeights<SimdVector256>(from, maximum, scale, to, logits.Length)
                : WriteSoftmaxWeights<SimdVector128>(from, maximum, scale, to, logits.Length);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void Apply<TVector, TFunction>(float* values, int count)
        where TVector : struct, ISimdVector<TVector>
        where TFunction : struct, IFunction
    {
        int i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
            TFunction.Compute(TVector.Load(values + i)).Store(values + i);
        if (i == count)
            return;

        // The same arithmetic for what does not fill a vector: a value does not depend on how many there are.
        float* rest = stackalloc float[TVector.Count];
        for (int k = 0; k < TVector.Count; k++)
            rest[k] = i + k < count ? values[i + k] : 0;
        TFunction.Compute(TVector.Load(rest)).Store(rest);
        for (int k = 0; i + k < count; k++)
            values[i + k] = rest[k];
    }

    [MethodImpl(HotLoop.Options)]
    private static void LayerNorm<TVector>(float* x, float* weight, float* bias, float* y, int rows, int size)
        where TVector : struct, ISimdVector<TVector>
    {
        for (int row = 0; row < rows; row++, x += size, y += size)
        {
            float mean = SumOfPowers<TVector>(x, 0, size, isSquared: false) / size;
            float variance = SumOfPowers<TVector>(x, mean, size, isSquared: true) / size;
            float scale = 1 / MathF.Sqrt(variance + LayerNormEpsilon);
            int k = 0;
            for (; k <= size - TVector.Count; k += TVector.Count)
            {
                TVector normal = (TVector.Load(x + k) - TVector.Create(mean)) * TVector.Create(scale);
                TVector.MultiplyAdd(normal, TVector.Load(weight + k), TVector.Load(bias + k)).Store(y + k);
            }

            for (; k < size; k++)
                y[k] = (x[k] - mean) * scale * weight[k] + bias[k];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SumOfPowers<TVector>(float* x, float mean, int size, bool isSquared)
        where TVector : struct, ISimdVector<TVector>
    {
        var even = TVector.Create(0);
        TVector odd = even;
        int k = 0;
        for (; k <= size - 2 * TVector.Count; k += 2 * TVector.Count)
        {
            TVector first = TVector.Load(x + k) - TVector.Create(mean);
            TVector second = TVector.Load(x + k + TVector.Count) - TVector.Create(mean);
            even = isSquared ? TVector.MultiplyAdd(first, first, even) : even + first;
            odd = isSquared ? TVector.MultiplyAdd(second, second, odd) : odd + second;
        }

        float sum = (even + odd).Sum();
        for (; k < size; k++)
            sum += isSquared ? (x[k] - mean) * (x[k] - mean) : x[k] - mean;
        return sum;
    }

    [MethodImpl(HotLoop.Options)]
    private static void Add<TVector>(float* sum, float* summand, long count)
        where TVector : struct, ISimdVector<TVector>
    {
        long i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
            (TVector.Load(sum + i) + TVector.Load(summand + i)).Store(sum + i);
        for (; i < count; i++)
            sum[i] += summand[i];
    }

    [MethodImpl(HotLoop.Options)]
    private static float Max<TVector>(float* values, int count)
        where TVector : struct, ISimdVector<TVector>
    {
        float* largest = stackalloc float[TVector.Count];
        var vector = TVector.Create(values[0]);
        int i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
            vector = TVector.Max(vector, TVector.Load(values + i));
        vector.Store(largest);
        float max = largest[0];
        for (int k = 1; k < TVector.Count; k++)
            max = MathF.Max(max, largest[k]);
        for (; i < count; i++)
            max = MathF.Max(max, values[i]);
        return max;
    }

    [MethodImpl(HotLoop.Options)]
    private static double SumExp<TVector>(float* logits, float maximum, int count)
        where TVector : struct, ISimdVector<TVector>
    {
        var shift = TVector.Create(maximum);
        var even = TVector.Create(0);
        TVector odd = even;
        int i = 0;
        for (; i <= count - 2 * TVector.Count; i += 2 * TVector.Count)
        {
            even += Exp(TVector.Load(logits + i) - shift);
            odd += Exp(TVector.Load(logits + i + TVector.Count) - shift);
        }

        double sum = (even + odd).Sum();
        for (; i < count; i++)
            sum += MathF.Exp(logits[i] - maximum);
        return sum;
    }

    [MethodImpl(HotLoop.Options)]
    private static double WriteSoftmaxWeights<TVector>(float* logits, float maximum, float scale, float* weights, int count)
        where TVector : struct, ISimdVector<TVector>
    {
        double sum = 0;
        int i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
        {
            TVector weight = Exp((TVector.Load(logits + i) - TVector.Create(maximum)) * TVector.Create(scale));
            weight.Store(weights + i);
            sum += weight.Sum();
        }

        for (; i < count; i++)
            sum += weights[i] = MathF.Exp((logits[i] - maximum) * scale);
        return sum;
    }

    private interface IFunction
    {
        static abstract TVector Compute<TVector>(TVector x)
            where TVector : struct, ISimdVector<TVector>;
    }

    private readonly struct ExpFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TVector>(TVector x)
            where TVector : struct, ISimdVector<TVector> => Exp(x);
    }

    private readonly struct SigmoidFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TVector>(TVector x)
            where TVector : struct, ISimdVector<TVector> =>
            TVector.Create(1) / (TVector.Create(1) + Exp(TVector.Create(0) - x));
    }

    private readonly struct GeluFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TVector>(TVector x)
            where TVector : struct, ISimdVector<TVector> => x * NormalProbability(x, out _);
    }
}

/// <summary>How methods with a kernel's loop are compiled.</summary>
internal static class HotLoop
{
    /// <summary>At once, by itself, and without a profile. Otherwise the compiler may find in the profile of a loop that it replaced while
    /// it ran that the loop hardly ever runs, and then calls what is in it instead of inlining it: GELU then took 8.2 ms where it takes
    /// 0.57, and a row of the loss forty times as long.</summary>
    public const MethodImplOptions Options = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
}
