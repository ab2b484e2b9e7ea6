using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention on the CPU in one pass over the projections, forward and backward: what <see cref="MultiheadLeap.Plain"/> does by
/// some forty tensor operations, each through memory.</summary>
/// <remarks>Sequences and heads are computed apart from each other, so that the result does not depend on the number of threads.
/// Without gradients nothing is kept but the output.</remarks>
internal static unsafe class FusedLeap
{
    /// <summary>Tells whether <see cref="Of"/> can compute on projections.</summary>
    public static bool Supports(Tensor projections) => RawMemory.HoldsRows(projections) && projections.numel() > 0;

    /// <summary>Attends.</summary>
    /// <param name="projections">[B, N, 4 d]: the parts Q, F1, F2 and U, each of all heads; of single precision or bfloat16. Their gradient has
    /// their type; all else is of single precision or better.</param>
    /// <param name="padding">True where there is no token, [B, N]; null where there is no padding.</param>
    /// <param name="shape">The layer's shape.</param>
    /// <returns>[B, N, d].</returns>
    public static Tensor Of(Tensor projections, Tensor? padding, LeapShape shape)
    {
        if (projections.requires_grad && is_grad_enabled())
            return Function.apply(projections, padding!, shape);

        using DisposeScope scope = NewDisposeScope();
        return Forward(projections.contiguous(), padding?.contiguous(), shape, null).MoveToOuterDisposeScope();
    }

    /// <summary>Attends from where states stand, without gradients, and takes the states along.</summary>
    /// <param name="projections">[B, N, 4 d].</param>
    /// <param name="shape">The layer's shape.</param>
    /// <param name="sums">What each of the B sequences goes on from.</param>
    /// <returns>[B, N, d].</returns>
    public static Tensor Continue(Tensor projections, LeapShape shape, CarriedSums sums)
    {
        using DisposeScope scope = NewDisposeScope();
        return Forward(projections.contiguous(), null, shape, null, sums).MoveToOuterDisposeScope();
    }

    /// <summary>Makes a pass over given memory.</summary>
    public static IHeadPass CreateForward(LeapShape shape, LeapMemory memory) => CreateForward<float, Float32Row>(shape, memory);

    private static IHeadPass CreateForward<TValue, TFormat>(LeapShape shape, LeapMemory memory)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue> => shape.RowSize switch
        {
            32 => new LeapForward<RowSize32, TValue, TFormat>(shape, memory),
            64 => new LeapForward<RowSize64, TValue, TFormat>(shape, memory),
            _ => new LeapForward<AnyRowSize, TValue, TFormat>(shape, memory),
        };

    private static IHeadPass CreateBackward<TValue, TFormat>(LeapShape shape, LeapMemory memory, void* gradients)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue> => shape.RowSize switch
        {
            32 => new LeapBackward<RowSize32, TValue, TFormat>(shape, memory, gradients),
            64 => new LeapBackward<RowSize64, TValue, TFormat>(shape, memory, gradients),
            _ => new LeapBackward<AnyRowSize, TValue, TFormat>(shape, memory, gradients),
        };

    private static Tensor Forward(Tensor projections, Tensor? padding, LeapShape shape, LeapSaved? saved, CarriedSums? sums = null)
    {
        Tensor output = empty([shape.BatchSize, shape.Length, shape.HiddenSize], ScalarType.Float32, CPU);
        var memory = new LeapMemory(projections, padding, output, saved, sums);
        shape.ForEachHead(projections.dtype == ScalarType.BFloat16
            ? () => CreateForward<ushort, BFloat16Row>(shape, memory)
            : () => CreateForward<float, Float32Row>(shape, memory));
        return output;
    }

    private static Tensor Backward(Tensor projections, Tensor outputGradient, LeapShape shape, LeapSaved saved)
    {
        Tensor gradient = empty_like(projections);
        var memory = new LeapMemory(projections, null, outputGradient, saved);
        if (gradient.dtype == ScalarType.BFloat16)
        {
            ushort* gradients = RawMemory.BFloat16s(gradient);
            shape.ForEachHead(() => CreateBackward<ushort, BFloat16Row>(shape, memory, gradients));
        }
        else
        {
            float* gradients = RawMemory.Singles(gradient);
            shape.ForEachHead(() => CreateBackward<float, Float32Row>(shape, memory, gradients));
        }

        return gradient;
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        private const string Shape = "shape";

        public override string Name => nameof(FusedLeap);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor projections = ((Tensor)vars[0]).contiguous();
            var shape = (LeapShape)vars[2];
            LeapSaved saved = LeapSaved.For(shape);
            Tensor output = Forward(projections, ((Tensor?)vars[1])?.contiguous(), shape, saved);
            ctx.save_data(Shape, shape);
            ctx.save_for_backward([.. new[] { projections, saved.Means, saved.Focus, saved.Totals }.Select(x => x.MoveToOuterDisposeScope())]);
            return output.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            List<Tensor> kept = ctx.get_saved_variables();
            var saved = new LeapSaved(kept[1], kept[2], kept[3]);
            Tensor gradient = Backward(kept[0], grad_output.contiguous(), (LeapShape)ctx.get_data(Shape), saved);
            return [gradient.MoveToOuterDisposeScope(), null!, null!];
        }
    }
}
