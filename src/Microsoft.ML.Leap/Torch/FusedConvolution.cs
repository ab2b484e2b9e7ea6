using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A <see cref="CausalConvolution"/> on the CPU in one pass through memory, forward and backward.</summary>
internal static unsafe class FusedConvolution
{
    // Below this, waking a thread costs more than it saves.
    private const int GrainSize = 1 << 17;

    /// <summary>Convolves.</summary>
    /// <param name="n">[B, N, d] of single precision, as all that follows but for the result and its gradient.</param>
    /// <param name="weight">[size, d].</param>
    /// <param name="shape">What it is applied to.</param>
    /// <returns>[B, N, d] of the shape's type.</returns>
    public static Tensor Convolve(Tensor n, Tensor weight, ConvolutionShape shape)
    {
        if (is_grad_enabled() && (n.requires_grad || weight.requires_grad))
            return Function.apply(n, weight, shape);

        using DisposeScope scope = NewDisposeScope();
        return Forward(n.contiguous(), weight, shape).MoveToOuterDisposeScope();
    }

    private static Tensor Forward(Tensor n, Tensor weight, ConvolutionShape shape)
    {
        Tensor y = empty(n.shape, shape.Type, CPU);
        float* from = RawMemory.Singles(n);
        float* w = RawMemory.Singles(weight);
        if (shape.Type == ScalarType.BFloat16)
        {
            ushort* to = RawMemory.BFloat16s(y);
            ForParts(shape, (_, row, count) => Forward<ushort, BFloat16Row>(from, w, to, row, count, shape));
        }
        else
        {
            float* to = RawMemory.Singles(y);
            ForParts(shape, (_, row, count) => Forward<float, Float32Row>(from, w, to, row, count, shape));
        }

        return y;
    }

    private static (Tensor Input, Tensor Weight) Backward(Tensor n, Tensor weight, Tensor outputGradient, ConvolutionShape shape)
    {
        Tensor inputGradient = empty_like(n);
        float* from = RawMemory.Singles(n);
        float* w = RawMemory.Singles(weight);
        float* dn = RawMemory.Singles(inputGradient);

        // A part's own sums, added up in its order: the result does not depend on which thread is the first.
        int weightCount = shape.Size * shape.Width;
        Tensor sums = zeros([CountParts(shape), weightCount], ScalarType.Float32, CPU);
        float* dw = RawMemory.Singles(sums);
        if (outputGradient.dtype == ScalarType.BFloat16)
        {
            ushort* dy = RawMemory.BFloat16s(outputGradient);
            ForParts(shape, (part, row, count) =>
                Backward<ushort, BFloat16Row>(from, w, dy, dn, dw + (long)part * weightCount, row, count, shape));
        }
        else
        {
            float* dy = RawMemory.Singles(outputGradient);
            ForParts(shape, (part, row, count) =>
                Backward<float, Float32Row>(from, w, dy, dn, dw + (long)part * weightCount, row, count, shape));
        }

        for (int part = 1; part < CountParts(shape); part++)
            VectorMath.Add(dw, dw + (long)part * weightCount, weightCount);
        return (inputGradient, sums[0].view(shape.Size, shape.Width).clone());
    }

    private static int PartRows(ConvolutionShape shape) => Math.Max(1, GrainSize / shape.Width);

    private static int CountParts(ConvolutionShape shape) => (shape.Rows + PartRows(shape) - 1) / PartRows(shape);

    private static void ForParts(ConvolutionShape shape, Action<int, int, int> body)
    {
        int partRows = PartRows(shape);
        CpuWork.ForRanges(shape.Rows, partRows, (row, count) => body((int)(row / partRows), (int)row, count));
    }

    private static void Forward<TValue, TFormat>(float* n, float* w, TValue* y, int first, int count, ConvolutionShape shape)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue>
    {
        if (Vector512.IsHardwareAccelerated)
            ConvolutionKernel<TValue, TFormat, SimdVector512>.Forward(n, w, y, first, count, shape);
        else
            ConvolutionKernel<TValue, TFormat, SimdVector256>.Forward(n, w, y, first, count, shape);
    }

    private static void Backward<TValue, TFormat>(
        float* n, float* w, TValue* dy, float* dn, float* dw, int first, int count, ConvolutionShape shape)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue>
    {
        if (Vector512.IsHardwareAccelerated)
            ConvolutionKernel<TValue, TFormat, SimdVector512>.Backward(n, w, dy, dn, dw, first, count, shape);
        else
            ConvolutionKernel<TValue, TFormat, SimdVector256>.Backward(n, w, dy, dn, dw, first, count, shape);
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        private const string Shape = "shape";

        public override string Name => nameof(FusedConvolution);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor n = ((Tensor)vars[0]).contiguous();
            Tensor weight = ((Tensor)vars[1]).alias();
            var shape = (ConvolutionShape)vars[2];
            Tensor y = Forward(n, weight, shape);
            ctx.save_data(Shape, shape);
            ctx.save_for_backward([n.MoveToOuterDisposeScope(), weight.MoveToOuterDisposeScope()]);
            return y.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            List<Tensor> kept = ctx.get_saved_variables();
            (Tensor input, Tensor weight) = Backward(kept[0], kept[1], grad_output.contiguous(), (ConvolutionShape)ctx.get_data(Shape));
            return [input.MoveToOuterDisposeScope(), weight.MoveToOuterDisposeScope(), null!];
        }
    }
}

/// <summary>Some tokens' part of <see cref="FusedConvolution"/> over raw memory.</summary>
internal static unsafe class ConvolutionKernel<TValue, TFormat, TVector>
    where TValue : unmanaged
    where TFormat : IRowFormat<TValue>
    where TVector : struct, ISimdVector<TVector>
{
    /// <summary>Writes the results of some tokens.</summary>
    /// <param name="n">The input of all tokens.</param>
    /// <param name="w">[size, d].</param>
    /// <param name="y">The result of all tokens.</param>
    /// <param name="first">The first token to compute.</param>
    /// <param name="count">How many.</param>
    /// <param name="shape">What they are part of.</param>
    [MethodImpl(HotLoop.Options)]
    public static void Forward(float* n, float* w, TValue* y, int first, int count, ConvolutionShape shape)
    {
        int before = first == 0 ? 0 : shape.CountBefore(first - 1);
        for (int row = first; row < first + count; row++)
        {
            before = shape.CountBefore(row, before);
            long place = (long)row * shape.Width;
            Forward(n + place, w, y + place, before, shape.Width);
        }
    }

    /// <summary>Writes the gradient of some tokens' input, and adds to that of the weights what their results contribute.</summary>
    /// <param name="n">The input of all tokens.</param>
    /// <param name="w">[size, d].</param>
    /// <param name="dy">The gradient of the result.</param>
    /// <param name="dn">The gradient of the input.</param>
    /// <param name="dw">The gradient of the weights, [size, d].</param>
    /// <param name="first">The first token to compute.</param>
    /// <param name="count">How many.</param>
    /// <param name="shape">What they are part of.</param>
    [MethodImpl(HotLoop.Options)]
    public static void Backward(float* n, float* w, TValue* dy, float* dn, float* dw, int first, int count, ConvolutionShape shape)
    {
        int before = first == 0 ? 0 : shape.CountBefore(first - 1);
        int after = 0;
        for (int row = first; row < first + count; row++)
        {
            before = shape.CountBefore(row, before);
            after = shape.CountAfter(row, after);
            long place = (long)row * shape.Width;
            Backward(n + place, w, dy + place, dn + place, dw, before, after, shape.Width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Forward(float* n, float* w, TValue* y, int before, int width)
    {
        int c = 0;
        for (; c <= width - TVector.Count; c += TVector.Count)
        {
            float* weight = w + c, value = n + c;
            TVector sum = TVector.Load(weight) * TVector.Load(value);
            for (int k = 0; k < before; k++)
            {
                weight += width;
                value -= width;
                sum = TVector.MultiplyAdd(TVector.Load(weight), TVector.Load(value), sum);
            }

            TFormat.StoreVector(sum, y + c);
        }

        for (; c < width; c++)
        {
            float sum = w[c] * n[c];
            for (int k = 1; k <= before; k++)
                sum += w[(long)k * width + c] * n[c - (long)k * width];
            TFormat.Store(sum, y + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Backward(float* n, float* w, TValue* dy, float* dn, float* dw, int before, int after, int width)
    {
        int c = 0;
        for (; c <= width - TVector.Count; c += TVector.Count)
        {
            float* weight = w + c, value = n + c, weightGradient = dw + c;
            TValue* outputGradient = dy + c;
            TVector gradient = TFormat.LoadVector<TVector>(outputGradient);
            TVector sum = TVector.Load(weight) * gradient;
            for (int k = 0; k < after; k++)
            {
                weight += width;
                outputGradient += width;
                sum = TVector.MultiplyAdd(TVector.Load(weight), TFormat.LoadVector<TVector>(outputGradient), sum);
            }

            sum.Store(dn + c);
            TVector.MultiplyAdd(gradient, TVector.Load(value), TVector.Load(weightGradient)).Store(weightGradient);
            for (int k = 0; k < before; k++)
            {
                value -= width;
                weightGradient += width;
                TVector.MultiplyAdd(gradient, TVector.Load(value), TVector.Load(weightGradient)).Store(weightGradient);
            }
        }

        for (; c < width; c++)
        {
            float gradient = TFormat.Load(dy + c);
            float sum = w[c] * gradient;
            for (int k = 1; k <= after; k++)
                sum += w[(long)k * width + c] * TFormat.Load(dy + (long)k * width + c);
            dn[c] = sum;
            for (int k = 0; k <= before; k++)
                dw[(long)k * width + c] += gradient * n[c - (long)k * width];
        }
    }
}
