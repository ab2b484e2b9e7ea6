using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention: each head's mean of the values in the window, weighted by each token's focus, gated by the query.</summary>
/// <remarks>Cost is linear in the length, and the window costs nothing: no pair of tokens is ever compared.</remarks>
internal sealed class MultiheadLeap : nn.Module<Tensor, Tensor?, Tensor>
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
    /// <param name="padding">True where there is no token, [B, N]; null where there is no padding.</param>
    /// <returns>[B, N, H e].</returns>
    public override Tensor forward(Tensor projections, Tensor? padding) => Forward(projections, padding, null);

    /// <summary>Attends within documents.</summary>
    /// <param name="projections">[B, N, 4 H e]; B is 1 where documents are packed.</param>
    /// <param name="padding">True where there is no token, [B, N]; null where there is no padding, as with packed documents.</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    /// <returns>[B, N, H e].</returns>
    public Tensor Forward(Tensor projections, Tensor? padding, PackedDocuments? documents)
    {
        NoiseMask? focusMask = dropout.Draw();
        NoiseMask? meanMask = dropout.Draw();
        return FusedLeap.Supports(projections)
            ? FusedLeap.Of(projections, padding, Shape(projections, focusMask, meanMask, documents))
            : documents is not null ? throw new NotSupportedException("Packed documents are for the fused attention.")
            : Plain(Widened(projections), padding, focusMask, meanMask);
    }

    /// <summary>Attends by tensor operations, on any device and in any precision: what <see cref="FusedLeap"/> must equal.</summary>
    /// <inheritdoc cref="forward"/>
    public Tensor Plain(Tensor projections, Tensor? padding, NoiseMask? focusMask, NoiseMask? meanMask)
    {
        var (Q, F1, F2, U) = Parts(projections);
        return Gated(Q, Dropped(FocusedMean(Focus(F1, F2, padding, focusMask), U, padding), meanMask));
    }

    /// <summary>Tells the focus weights and gates of evaluation, by the same operations as <see cref="Plain"/>.</summary>
    /// <inheritdoc cref="forward"/>
    public LayerFocus Observe(Tensor projections, Tensor? padding)
    {
        using DisposeScope scope = NewDisposeScope();
        var (Q, F1, F2, U) = Parts(projections);
        Tensor f = Focus(F1, F2, padding, null);
        Tensor a = Gate(Q, FocusedMean(f, U, padding));
        return new LayerFocus(_window, f.squeeze(-1).MoveToOuterDisposeScope(), a.squeeze(-1).MoveToOuterDisposeScope());
    }

    /// <summary>Attends from where states stand, without dropout, padding or gradients, and takes the states along.</summary>
    /// <param name="projections">[B, N, 4 H e].</param>
    /// <param name="layer">The number of this layer.</param>
    /// <param name="states">B states of one kind.</param>
    /// <returns>[B, N, H e].</returns>
    public Tensor Continue(Tensor projections, int layer, IReadOnlyList<RecurrentState> states)
    {
        if (states[0] is RawRecurrentState)
            return FusedLeap.Continue(projections, Shape(projections, null, null), RawRecurrentState.Layer(layer, states));

        var (Q, F1, F2, U) = Parts(projections);
        Tensor f = Focus(F1, F2, null, null);
        Tensor rows = cat([f * U, f], -1);
        Tensor[] sums = [.. states.Select((state, b) => ((TensorRecurrentState)state).Layer(layer).Add(rows[b]))];
        Tensor[] parts = stack(sums).split([U.shape[^1], 1], -1);
        return Gated(Q, parts[0] / parts[1]);
    }

    private static Tensor Widened(Tensor x) => x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;

    private (Tensor Q, Tensor F1, Tensor F2, Tensor U) Parts(Tensor projections)
    {
        long[] shape = projections.shape;
        Tensor[] parts = projections.view(shape[0], shape[1], 4, _headCount, -1).unbind(2);
        return (parts[0], parts[1], parts[2], parts[3]);
    }

    private static Tensor Gated(Tensor Q, Tensor M) => (Gate(Q, M) * M).flatten(2);

    private static Tensor Gate(Tensor Q, Tensor M) => (Q * M).sum(-1, keepdim: true).mul(1 / Math.Sqrt(Q.shape[3])).sigmoid();

    private Tensor Focus(Tensor F1, Tensor F2, Tensor? padding, NoiseMask? mask)
    {
        F1 = Dropped(FocusNorm.Of(F1), mask);
        F2 = FocusNorm.Of(F2);
        Tensor s = (F1 * F2).sum(-1, keepdim: true) * (_rescale / F1.shape[3]);
        if (padding is not null)
            s = s.masked_fill(padding.unsqueeze(-1).unsqueeze(-1), double.NegativeInfinity);
        return s.exp();
    }

    private Tensor FocusedMean(Tensor f, Tensor U, Tensor? padding)
    {
        Tensor weighted = WindowedSum.Of(f * U, _window);
        Tensor total = WindowedSum.Of(f, _window);

        // A window of nothing but padding: 0 / 1 instead of 0 / 0.
        if (padding is not null)
            total = total.masked_fill(total == 0, 1);
        return weighted / total;
    }

    private static Tensor Dropped(Tensor x, NoiseMask? mask) => mask is NoiseMask given ? Dropout.Plain(x, given) : x;

    private LeapShape Shape(Tensor projections, NoiseMask? focusMask, NoiseMask? meanMask, PackedDocuments? documents = null)
    {
        long[] shape = projections.shape;
        int headSize = (int)(shape[2] / (4 * _headCount));
        return new LeapShape((int)shape[0], (int)shape[1], _headCount, headSize, _window, _rescale, focusMask, meanMask, documents);
    }
}
