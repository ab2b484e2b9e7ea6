using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>LEAP attention: each head's mean of the values in the window, weighted by each token's focus, gated by the query.</summary>
/// <remarks>Cost is linear in the length, and the window costs nothing: no pair of tokens is ever compared.</remarks>
internal sealed class MultiheadLeap : nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor?, Tensor>
{
    private readonly int _window;
    private readonly double _rescale;
    private readonly Dropout dropout;

    public MultiheadLeap(int window, double rescale, Dropout dropout)
        : base(nameof(MultiheadLeap))
    {
        _window = window;
        _rescale = rescale;
        this.dropout = dropout;
        RegisterComponents();
    }

    /// <summary>Attends.</summary>
    /// <param name="Q">Queries, [B, N, H, e].</param>
    /// <param name="F1">First factors of the focus, [B, N, H, e].</param>
    /// <param name="F2">Second factors of the focus, [B, N, H, e].</param>
    /// <param name="U">Values, [B, N, H, e].</param>
    /// <param name="padding">True where there is no token, [B, N]; null where there is no padding.</param>
    /// <returns>[B, N, H, e].</returns>
    public override Tensor forward(Tensor Q, Tensor F1, Tensor F2, Tensor U, Tensor? padding)
    {
        Tensor M = dropout.call(FocusedMean(Focus(F1, F2, padding), U, padding));
        Tensor a = (Q * M).sum(-1, keepdim: true).mul(1 / Math.Sqrt(Q.shape[3])).sigmoid();
        return a * M;
    }

    private Tensor Focus(Tensor F1, Tensor F2, Tensor? padding)
    {
        F1 = dropout.call(FocusNorm.Of(F1));
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
}
