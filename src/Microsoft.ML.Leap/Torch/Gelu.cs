using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The exact Gaussian error linear unit, <c>x P(X &lt;= x)</c> for a normal X (Hendrycks and Gimpel 2016).</summary>
/// <remarks>On the CPU the derivative comes with the value, by the same exponential; the backward pass only multiplies. torch's own computes
/// an error function on the way there and an error function and an exponential on the way back.</remarks>
internal static unsafe class Gelu
{
    private const int GrainSize = 1 << 15;

    /// <summary>Applies it to each value, in the type of <paramref name="x"/>.</summary>
    public static Tensor Apply(Tensor x)
    {
        if (!RawMemory.HoldsRows(x))
            return nn.functional.gelu(x);
        return x.requires_grad && is_grad_enabled() ? Function.apply(x) : Compute(x, null);
    }

    private static Tensor Compute(Tensor x, Tensor? derivative)
    {
        Tensor y = empty(x.shape, x.dtype, CPU);
        using DisposeScope scope = NewDisposeScope();
        if (x.dtype == ScalarType.BFloat16)
        {
            ushort* d = derivative is null ? null : RawMemory.BFloat16s(derivative);
            Compute<ushort, BFloat16Row>(RawMemory.BFloat16s(x.contiguous()), RawMemory.BFloat16s(y), d, y.numel());
        }
        else
        {
            float* d = derivative is null ? null : RawMemory.Singles(derivative);
            Compute<float, Float32Row>(RawMemory.Singles(x.contiguous()), RawMemory.Singles(y), d, y.numel());
        }

        return y;
    }

    private static void Compute<TValue, TFormat>(TValue* x, TValue* y, TValue* derivative, long count)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue> =>
        CpuWork.ForRanges(count, GrainSize, (first, length) => Compute<TValue, TFormat>(x, y, derivative, first, length));

    private static void Compute<TValue, TFormat>(TValue* x, TValue* y, TValue* derivative, long first, int length)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue>
    {
        TValue* d = derivative is null ? null : derivative + first;
        if (Vector512.IsHardwareAccelerated)
            GeluKernel<TValue, TFormat, SimdVector512>.Run(x + first, y + first, d, length);
        else
            GeluKernel<TValue, TFormat, SimdVector256>.Run(x + first, y + first, d, length);
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        public override string Name => nameof(Gelu);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var x = (Tensor)vars[0];
            Tensor derivative = empty(x.shape, x.dtype, CPU);
            ctx.save_for_backward([derivative]);
            return Compute(x, derivative);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => [grad_output * ctx.get_saved_variables()[0]];
    }
}

/// <summary><see cref="Gelu"/> and its derivative over raw memory.</summary>
internal static unsafe class GeluKernel<TValue, TFormat, TVector>
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
    where TVector : struct, ISimdVector<TVector>
{
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
        TVector probability = VectorMath.NormalProbability(x, out TVector density);
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
