using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary><see cref="Gelu"/> and its derivative over raw memory.</summary>
/// <remarks>The normal distribution's tail beyond |x| is a polynomial in 1 / (1 + p |x|) times exp(-x^2 / 2), within 7.5e-8 (Abramowitz and
/// Stegun, Handbook of Mathematical Functions, 26.2.17).</remarks>
internal static unsafe class GeluKernel<TValue, TFormat, TVector>
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
    where TVector : struct, IRowVector<TVector>
{
    private const float P = 0.2316419f;
    private const float B1 = 0.319381530f, B2 = -0.356563782f, B3 = 1.781477937f, B4 = -1.821255978f, B5 = 1.330274429f;

    // 1 / sqrt(2 pi), the normal density at 0.
    private const float Density = 0.39894228f;

    /// <summary>Writes the values, and the derivatives unless they are null.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void Run(TValue* x, TValue* y, TValue* derivative, int count)
    {
        int i = 0;
        for (; i <= count - TVector.Count; i += TVector.Count)
            Vector(x + i, y + i, derivative is null ? null : derivative + i);
        if (i < count)
            Rest(x + i, y + i, derivative is null ? null : derivative + i, count - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Vector(TValue* source, TValue* y, TValue* derivative)
    {
        TVector x = TFormat.LoadVector<TVector>(source);
        TVector magnitude = TVector.Absolute(x);
        TVector density = RowExponential.Of(x * x * TVector.Create(-0.5f)) * TVector.Create(Density);
        TVector t = TVector.Create(1) / TVector.MultiplyAdd(magnitude, TVector.Create(P), TVector.Create(1));
        TVector tail = TVector.MultiplyAdd(TVector.Create(B5), t, TVector.Create(B4));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(B3));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(B2));
        tail = TVector.MultiplyAdd(tail, t, TVector.Create(B1)) * t * density;

        var half = TVector.Create(0.5f);
        TVector probability = half + TVector.CopySign(half - tail, x);
        TFormat.StoreVector(x * probability, y);
        if (derivative is not null)
            TFormat.StoreVector(TVector.MultiplyAdd(x, density, probability), derivative);
    }

    private static void Rest(TValue* x, TValue* y, TValue* derivative, int count)
    {
        TValue* padded = stackalloc TValue[3 * TVector.Count];
        new Span<TValue>(padded, 3 * TVector.Count).Clear();
        new ReadOnlySpan<TValue>(x, count).CopyTo(new Span<TValue>(padded, count));
        Vector(padded, padded + TVector.Count, padded + 2 * TVector.Count);
        new ReadOnlySpan<TValue>(padded + TVector.Count, count).CopyTo(new Span<TValue>(y, count));
        if (derivative is not null)
            new ReadOnlySpan<TValue>(padded + 2 * TVector.Count, count).CopyTo(new Span<TValue>(derivative, count));
    }
}
