using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention: each head's mean of the values in the window, weighted by each token's focus, gated by the query.</summary>
/// <remarks>Cost is linear in the length, and the window costs nothing: no pair of tokens is ever compared. With forget gates (after Lin and others
/// 2025, Forgetting Transformer) there is no window: k per token is the part of what came before that still counts.</remarks>
internal sealed class MultiheadLeap : nn.Module<Tensor, Tensor>
{
    private readonly int _headCount;
    private readonly int _focusSize;
    private readonly int _window;
    private readonly double _rescale;
    private readonly float[]? _forgetOffsets;
    private readonly Dropout dropout;

    /// <param name="headCount">Heads: H.</param>
    /// <param name="focusSize">Values per head in F1, and in F2: r.</param>
    /// <param name="window">Tokens that a token sees, itself included.</param>
    /// <param name="rescale">What focus logits are scaled by.</param>
    /// <param name="dropout">Drops parts of the focus and of the mean.</param>
    /// <param name="forgetOffsets">The forget logit of each head where F1's sum is 0, in even steps; null for no forget gates.</param>
    public MultiheadLeap(int headCount, int focusSize, int window, double rescale, Dropout dropout, float[]? forgetOffsets = null)
        : base(nameof(MultiheadLeap))
    {
        _headCount = headCount;
        _focusSize = focusSize;
        _window = window;
        _rescale = rescale;
        _forgetOffsets = forgetOffsets;
        this.dropout = dropout;
        RegisterComponents();
    }

    /// <summary>Attends.</summary>
    /// <param name="projections">The parts Q, F1, F2 and U side by side, each of all heads: [B, N, 2 H e + 2 H r]. Of bfloat16 where products
    /// are; all else is of single precision.</param>
    /// <returns>[B, N, H e].</returns>
    public override Tensor forward(Tensor projections) => Forward(projections, null);

    /// <summary>Attends within documents.</summary>
    /// <param name="projections">[B, N, 2 H e + 2 H r]; B is 1 where documents are packed.</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    /// <returns>[B, N, H e].</returns>
    public Tensor Forward(Tensor projections, PackedDocuments? documents)
    {
        NoiseMask? focusMask = dropout.Draw();
        NoiseMask? meanMask = dropout.Draw();
        return FusedLeap.Supports(projections)
            ? FusedLeap.Attend(projections, Shape(projections, focusMask, meanMask, documents))
            : documents is not null ? throw new NotSupportedException("Packed documents are for the fused attention.")
            : Reference(Widened(projections), focusMask, meanMask);
    }

    /// <summary>Attends by tensor operations, on any device and in any precision: what <see cref="FusedLeap"/> must equal.</summary>
    /// <inheritdoc cref="forward"/>
    public Tensor Reference(Tensor projections, NoiseMask? focusMask, NoiseMask? meanMask)
    {
        var (Q, F1, F2, U) = Parts(projections);
        Tensor f = Focus(F1, F2, focusMask);
        Tensor M = _forgetOffsets is null ? FocusedMean(f, U) : KeptMean.Compute(f, ForgetLogits(F1), U);
        return Gated(Q, Dropped(M, meanMask));
    }

    private static Tensor Widened(Tensor x) => x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;

    private (Tensor Q, Tensor F1, Tensor F2, Tensor U) Parts(Tensor projections)
    {
        long focus = _headCount * _focusSize;
        long values = projections.shape[2] / 2 - focus;
        Tensor[] parts = [.. projections.split([values, focus, focus, values], 2).Select(part => part.unflatten(2, _headCount, -1))];
        return (parts[0], parts[1], parts[2], parts[3]);
    }

    private static Tensor Gated(Tensor Q, Tensor M) => (Gate(Q, M) * M).flatten(2);

    private static Tensor Gate(Tensor Q, Tensor M) => (Q * M).sum(-1, keepdim: true).Times(1 / Math.Sqrt(Q.shape[3])).sigmoid();

    private Tensor Focus(Tensor F1, Tensor F2, NoiseMask? mask)
    {
        F1 = Dropped(FocusNorm.Standardize(F1), mask);
        F2 = FocusNorm.Standardize(F2);
        Tensor s = (F1 * F2).sum(-1, keepdim: true).Times(_rescale / F1.shape[3]);
        return s.exp();
    }

    // The norm takes F1's mean away: the focus makes no use of it. The device makes the offsets by itself: a copy from the host would make it wait.
    private Tensor ForgetLogits(Tensor F1)
    {
        Tensor offsets = linspace(_forgetOffsets![0], _forgetOffsets[^1], _headCount, F1.dtype, F1.device);
        return F1.sum(-1, keepdim: true).Times(LeapConfig.ForgetGain / Math.Sqrt(F1.shape[3])).Plus(offsets.view(1, 1, -1, 1));
    }

    private Tensor FocusedMean(Tensor f, Tensor U) => WindowedSum.Compute(f * U, _window) / WindowedSum.Compute(f, _window);

    private static Tensor Dropped(Tensor x, NoiseMask? mask) => mask is NoiseMask given ? Dropout.Reference(x, given) : x;

    private LeapShape Shape(Tensor projections, NoiseMask? focusMask, NoiseMask? meanMask, PackedDocuments? documents = null)
    {
        long[] shape = projections.shape;
        int headSize = (int)(shape[2] / (2 * _headCount)) - _focusSize;
        return new LeapShape(
            (int)shape[0], (int)shape[1], _headCount, headSize, _focusSize, _window, _rescale, focusMask, meanMask, documents, _forgetOffsets);
    }
}

/// <summary>The focused mean with forget gates, by tensor operations: <c>S_i = k_i S_(i-1) + f_i U_i</c>, the same of f alone, and one divided by the
/// other.</summary>
/// <remarks>In chunks, as is usual for linear attention: within one, a matrix tells what each token keeps of each before it; from one to the next go
/// the sums. Factors are at most 1, so that nothing overflows.</remarks>
internal static class KeptMean
{
    private const int ChunkLength = 256;

    /// <summary>Computes the mean at each token.</summary>
    /// <param name="f">[B, N, H, 1].</param>
    /// <param name="forgetLogits">The logit of k, [B, N, H, 1].</param>
    /// <param name="U">[B, N, H, e].</param>
    /// <returns>[B, N, H, e].</returns>
    public static Tensor Compute(Tensor f, Tensor forgetLogits, Tensor U)
    {
        long length = U.shape[1];
        Tensor values = cat([f * U, f], -1).transpose(1, 2);
        Tensor logs = nn.functional.logsigmoid(forgetLogits).transpose(1, 2);
        Tensor before = zeros([values.shape[0], values.shape[1], 1, values.shape[3]], values.dtype, values.device);
        List<Tensor> sums = [];
        using Scalar never = double.NegativeInfinity.ToScalar();
        for (long first = 0; first < length; first += ChunkLength)
        {
            long count = Math.Min(ChunkLength, length - first);
            Tensor sum = logs.narrow(2, first, count).cumsum(2);
            Tensor kept = (sum - sum.transpose(2, 3)).masked_fill(ones(count, count, ScalarType.Bool, values.device).triu(1), never).exp();
            sums.Add(kept.matmul(values.narrow(2, first, count)).Plus(sum.exp() * before));
            before = sums[^1].narrow(2, count - 1, 1);
        }

        Tensor all = cat(sums, 2).transpose(1, 2);
        return all.narrow(3, 0, U.shape[3]) / all.narrow(3, U.shape[3], 1);
    }
}

/// <summary>Standardises each head's vector: <c>(y - mean) / (standard deviation + 1e-5)</c>, the deviation being the unbiased one.</summary>
internal static class FocusNorm
{
    private const double Epsilon = 1e-5;

    public static Tensor Standardize(Tensor y)
    {
        Tensor centered = y - y.mean([-1], keepdim: true);

        // torch's own std is several times slower. A norm, unlike a square root, has the gradient 0 where it is 0.
        Tensor deviation = centered.norm(-1, keepdim: true).Times(1 / Math.Sqrt(y.shape[^1] - 1));
        return centered / deviation.Plus(Epsilon);
    }
}
