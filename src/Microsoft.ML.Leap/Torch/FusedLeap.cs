using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention on the CPU in one pass over the projections, forward and backward: what <see cref="MultiheadLeap.Reference"/> does by
/// some forty tensor operations, each through memory.</summary>
/// <remarks>Sequences and heads are computed apart from each other, so that the result does not depend on the number of threads.
/// Without gradients nothing is kept but the output.</remarks>
internal static unsafe class FusedLeap
{
    /// <summary>Tells whether <see cref="Attend"/> can compute on projections.</summary>
    public static bool Supports(Tensor projections) => RawMemory.HoldsRows(projections) && projections.numel() > 0;

    /// <summary>Attends.</summary>
    /// <param name="projections">[B, N, 2 d + 2 H r]: the parts Q, F1, F2 and U, each of all heads; of single precision or bfloat16. Their gradient
    /// has their type; all else is of single precision or better.</param>
    /// <param name="shape">The layer's shape.</param>
    /// <returns>[B, N, d].</returns>
    public static Tensor Attend(Tensor projections, LeapShape shape)
    {
        if (projections.requires_grad && is_grad_enabled())
            return Function.apply(projections, shape);

        using DisposeScope scope = NewDisposeScope();
        return Forward(projections.contiguous(), shape, null).MoveToOuterDisposeScope();
    }

    private static IHeadPass CreateForward<TValue, TFormat>(LeapShape shape, LeapMemory memory)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue> => (shape.RowSize, shape.FocusRowSize) switch
        {
            (32, 8) => new LeapForward<RowSize32, RowSize8, TValue, TFormat>(shape, memory),
            (32, 32) => new LeapForward<RowSize32, RowSize32, TValue, TFormat>(shape, memory),
            (64, 64) => new LeapForward<RowSize64, RowSize64, TValue, TFormat>(shape, memory),
            (_, 8) => new LeapForward<AnyRowSize, RowSize8, TValue, TFormat>(shape, memory),
            _ => new LeapForward<AnyRowSize, AnyRowSize, TValue, TFormat>(shape, memory),
        };

    private static IHeadPass CreateBackward<TValue, TFormat>(LeapShape shape, LeapMemory memory, void* gradients)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue> => (shape.RowSize, shape.FocusRowSize) switch
        {
            (32, 8) => new LeapBackward<RowSize32, RowSize8, TValue, TFormat>(shape, memory, gradients),
            (32, 32) => new LeapBackward<RowSize32, RowSize32, TValue, TFormat>(shape, memory, gradients),
            (64, 64) => new LeapBackward<RowSize64, RowSize64, TValue, TFormat>(shape, memory, gradients),
            (_, 8) => new LeapBackward<AnyRowSize, RowSize8, TValue, TFormat>(shape, memory, gradients),
            _ => new LeapBackward<AnyRowSize, AnyRowSize, TValue, TFormat>(shape, memory, gradients),
        };

    private static Tensor Forward(Tensor projections, LeapShape shape, LeapSaved? saved)
    {
        Tensor output = empty([shape.BatchSize, shape.Length, shape.HiddenSize], ScalarType.Float32, CPU);
        var memory = new LeapMemory(projections, output, saved);
        shape.ForEachHead(projections.dtype == ScalarType.BFloat16
            ? () => CreateForward<ushort, BFloat16Row>(shape, memory)
            : () => CreateForward<float, Float32Row>(shape, memory));
        return output;
    }

    private static Tensor Backward(Tensor projections, Tensor outputGradient, LeapShape shape, LeapSaved saved)
    {
        Tensor gradient = empty_like(projections);
        var memory = new LeapMemory(projections, outputGradient, saved);
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
            var shape = (LeapShape)vars[1];
            LeapSaved saved = LeapSaved.For(shape);
            Tensor output = Forward(projections, shape, saved);
            ctx.save_data(Shape, shape);
            ctx.save_for_backward([.. new[] { projections, saved.Means, saved.Focus, saved.Totals, saved.Kept }.Select(x => x.MoveToOuterDisposeScope())]);
            return output.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            List<Tensor> kept = ctx.get_saved_variables();
            var saved = new LeapSaved(kept[1], kept[2], kept[3], kept[4]);
            Tensor gradient = Backward(kept[0], grad_output.contiguous(), (LeapShape)ctx.get_data(Shape), saved);
            return [gradient.MoveToOuterDisposeScope(), null!];
        }
    }
}

/// <summary>What a LEAP attention layer is, apart from its numbers.</summary>
/// <param name="BatchSize">Sequences: B.</param>
/// <param name="Length">Tokens of a sequence: N.</param>
/// <param name="HeadCount">Heads: H.</param>
/// <param name="HeadSize">Values of a head: e, at least 2.</param>
/// <param name="FocusSize">Values per head in F1, and in F2: r, at least 2.</param>
/// <param name="Window">Tokens that a token sees, itself included.</param>
/// <param name="RescaleValue">What focus logits are scaled by.</param>
/// <param name="FocusMask">Dropout of the first factor of the focus, if any.</param>
/// <param name="MeanMask">Dropout of the focused mean, if any.</param>
/// <param name="Documents">The documents that a sequence is made of; null for one.</param>
/// <param name="ForgetOffsets">The forget logit of each head where F1's sum is 0; null where there are no forget gates.</param>
internal sealed record LeapShape(
    int BatchSize,
    int Length,
    int HeadCount,
    int HeadSize,
    int FocusSize,
    int Window,
    double RescaleValue,
    NoiseMask? FocusMask,
    NoiseMask? MeanMask,
    PackedDocuments? Documents = null,
    float[]? ForgetOffsets = null)
{
    /// <summary>Added to a standard deviation before it divides.</summary>
    public const float Epsilon = 1e-5f;

    /// <summary>Gets the values of a token: d.</summary>
    public int HiddenSize => HeadCount * HeadSize;

    /// <summary>Gets the values per token in F1, and in F2.</summary>
    public int FocusesSize => HeadCount * FocusSize;

    /// <summary>Gets the values per token in the projections.</summary>
    public int ProjectionsSize => 2 * (HiddenSize + FocusesSize);

    /// <summary>Gets the values of a head and zeros after them, up to a whole number of SIMD vectors.</summary>
    public int RowSize { get; } = SlidingSumsLayout.GetRowSize(HeadSize);

    /// <summary>Gets the same of a head's F1 or F2.</summary>
    public int FocusRowSize { get; } = SlidingSumsLayout.GetRowSize(FocusSize);

    /// <summary>Gets the form of the sums over the window, for a sequence that begins and ends in the pass.</summary>
    public SlidingSumsLayout Sums => new(Window < (Documents?.Longest ?? Length) ? Window : 0, RowSize);

    /// <summary>Gets what the sum over a head of F1 F2 is multiplied by.</summary>
    public float FocusScale { get; } = (float)(RescaleValue / FocusSize);

    /// <summary>Gets what the sum over a head of Q M is multiplied by.</summary>
    public float GateScale { get; } = (float)(1 / Math.Sqrt(HeadSize));

    /// <summary>Gets what the sum of F1 per head is multiplied by.</summary>
    public float ForgetScale { get; } = (float)(LeapConfig.ForgetGain / Math.Sqrt(FocusSize));

    /// <summary>Returns the gate a that belongs to a sum over a head of Q M.</summary>
    public float Gate(float product) => Sigmoid(product * GateScale);

    /// <summary>Returns the part k of what came before that a forget gate keeps, by the sum of F1 per head; 1 where there are no forget gates.</summary>
    public float Keep(float sum, int head) => ForgetOffsets is null ? 1 : Sigmoid(sum * ForgetScale + ForgetOffsets[head]);

    private static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    /// <summary>Tells whether a token sees nothing of the tokens before it.</summary>
    public bool StartsDocument(int token) => Documents is not null && Documents.Starts[token];

    /// <summary>Runs a pass over each sequence and head.</summary>
    public void ForEachHead(Func<IHeadPass> createPass)
    {
        const long small = 1 << 13;
        bool isSmall = (long)BatchSize * Length * HiddenSize < small;
        CpuWork.ForEach(BatchSize * HeadCount, isSmall, createPass, (pass, i) => pass.Run(i / HeadCount, i % HeadCount));
    }
}

/// <summary>Where the passes of LEAP attention read and write.</summary>
internal sealed unsafe class LeapMemory
{
    /// <param name="projections">[B, N, 2 d + 2 H r]: the parts Q, F1, F2 and U; of single precision or bfloat16.</param>
    /// <param name="output">[B, N, d]: the attention's output, or in the backward pass its gradient.</param>
    /// <param name="saved">What the backward pass needs, if there is to be one.</param>
    public LeapMemory(Tensor projections, Tensor output, LeapSaved? saved)
    {
        Projections = projections.dtype == ScalarType.BFloat16 ? RawMemory.BFloat16s(projections) : RawMemory.Singles(projections);
        Output = RawMemory.Singles(output);
        if (saved is null)
            return;

        Means = RawMemory.Singles(saved.Means);
        Focus = RawMemory.Singles(saved.Focus);
        Totals = RawMemory.Singles(saved.Totals);
        Kept = RawMemory.Singles(saved.Kept);
    }

    /// <summary>Gets the projections' memory, of whatever type they have.</summary>
    public void* Projections { get; }

    public float* Output { get; }

    /// <summary>Gets M before dropout, [B, H, N] padded rows.</summary>
    public float* Means { get; }

    /// <summary>Gets f, [B, H, N].</summary>
    public float* Focus { get; }

    /// <summary>Gets the sum of f in each token's window, [B, H, N].</summary>
    public float* Totals { get; }

    /// <summary>Gets k, what the forget gate of each token keeps of the sums before it, [B, H, N].</summary>
    public float* Kept { get; }
}

/// <summary>What the forward pass of LEAP attention keeps for the backward pass, beside its input.</summary>
/// <param name="Means">M before dropout, [B, H, N, padded e].</param>
/// <param name="Focus">f, [B, H, N].</param>
/// <param name="Totals">The sum of f in each token's window, [B, H, N].</param>
/// <param name="Kept">k, what the forget gate of each token keeps of the sums before it, [B, H, N].</param>
internal sealed record LeapSaved(Tensor Means, Tensor Focus, Tensor Totals, Tensor Kept)
{
    public static LeapSaved For(LeapShape shape)
    {
        long[] tokens = [shape.BatchSize, shape.HeadCount, shape.Length];
        return new LeapSaved(
            empty([.. tokens, shape.RowSize], ScalarType.Float32, CPU),
            empty(tokens, ScalarType.Float32, CPU),
            empty(tokens, ScalarType.Float32, CPU),
            empty(tokens, ScalarType.Float32, CPU));
    }
}

/// <summary>One thread's pass over sequences and heads, one at a time.</summary>
internal interface IHeadPass : IDisposable
{
    /// <summary>Computes all tokens of a sequence's head.</summary>
    void Run(int sequence, int head);
}
