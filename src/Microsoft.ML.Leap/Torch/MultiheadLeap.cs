using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention: each head's mean of the values in the window, weighted by each token's focus, gated by the query.</summary>
/// <remarks>Cost is linear in the length, and the window costs nothing: no pair of tokens is ever compared.</remarks>
internal sealed class MultiheadLeap : nn.Module<Tensor, Tensor>
{
    private readonly int _headCount;
    private readonly int _window;
    private readonly double _rescale;
    private readonly Dropout dropout;

    public MultiheadLeap(int headCount, int window, double rescale, Dropout dropout)
        : base(nameof(MultiheadLeap))
    {
        _headCount = headCount;
        _window = window;
        _rescale = rescale;
        this.dropout = dropout;
        RegisterComponents();
    }

    /// <summary>Attends.</summary>
    /// <param name="projections">The parts Q, F1, F2 and U side by side, each of all heads: [B, N, 4 H e]. Of bfloat16 where products are;
    /// all else is of single precision.</param>
    /// <returns>[B, N, H e].</returns>
    public override Tensor forward(Tensor projections) => Forward(projections, null);

    /// <summary>Attends within documents.</summary>
    /// <param name="projections">[B, N, 4 H e]; B is 1 where documents are packed.</param>
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
        return Gated(Q, Dropped(FocusedMean(Focus(F1, F2, focusMask), U), meanMask));
    }

    private static Tensor Widened(Tensor x) => x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;

    private (Tensor Q, Tensor F1, Tensor F2, Tensor U) Parts(Tensor projections)
    {
        long[] shape = projections.shape;
        Tensor[] parts = projections.view(shape[0], shape[1], 4, _headCount, -1).unbind(2);
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

    private Tensor FocusedMean(Tensor f, Tensor U) => WindowedSum.Compute(f * U, _window) / WindowedSum.Compute(f, _window);

    private static Tensor Dropped(Tensor x, NoiseMask? mask) => mask is NoiseMask given ? Dropout.Reference(x, given) : x;

    private LeapShape Shape(Tensor projections, NoiseMask? focusMask, NoiseMask? meanMask, PackedDocuments? documents = null)
    {
        long[] shape = projections.shape;
        int headSize = (int)(shape[2] / (4 * _headCount));
        return new LeapShape((int)shape[0], (int)shape[1], _headCount, headSize, _window, _rescale, focusMask, meanMask, documents);
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
