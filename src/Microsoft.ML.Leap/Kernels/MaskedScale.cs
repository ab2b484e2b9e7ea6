using System.Numerics;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Dropout on the CPU in one pass: the mask is hashed on the way, forward and backward, and never stored.</summary>
internal static unsafe class MaskedScale
{
    // Below this, waking a thread costs more than it saves.
    private const int ValuesAPart = 1 << 15;

    /// <summary>Tells whether <see cref="Of"/> can compute on a tensor.</summary>
    public static bool Supports(Tensor x) => RawMemory.IsReachable(x);

    /// <summary>Returns the values that the mask keeps, scaled, and 0 for the rest.</summary>
    public static Tensor Of(Tensor x, NoiseMask mask) =>
        x.requires_grad && is_grad_enabled() ? Function.apply(x, mask) : Compute(x, mask);

    private static Tensor Compute(Tensor x, NoiseMask mask)
    {
        Tensor y = empty(x.shape, ScalarType.Float32, CPU);
        using DisposeScope scope = NewDisposeScope();
        float* from = RawMemory.Singles(x.contiguous());
        float* to = RawMemory.Singles(y);
        CpuWork.ForRanges(y.numel(), ValuesAPart, (first, count) => Compute(from + first, to + first, first, count, mask));
        return y;
    }

    [MethodImpl(HotLoop.Options)]
    private static void Compute(float* from, float* to, long first, int count, NoiseMask mask)
    {
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            Vector.Store(Vector.Load(from + i) * mask.Factors((int)(first + i)), to + i);
        Vector<float> rest = mask.Factors((int)(first + i));
        for (int k = 0; i < count; i++, k++)
            to[i] = from[i] * rest[k];
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        private const string Mask = "mask";

        public override string Name => nameof(MaskedScale);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(Mask, vars[1]);
            return Compute((Tensor)vars[0], (NoiseMask)vars[1]);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
            [Compute(grad_output, (NoiseMask)ctx.get_data(Mask)), null!];
    }
}
