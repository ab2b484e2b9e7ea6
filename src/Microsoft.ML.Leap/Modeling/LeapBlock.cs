using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>One decoder block: attention, then a feed-forward part, each added to its input.</summary>
internal sealed class LeapBlock : nn.Module<Tensor, Tensor?, Tensor>
{
    private readonly LayerNorm pre_norm;
    private readonly LayerNorm boom_norm;
    private readonly Linear projections;
    private readonly Linear boom;
    private readonly Linear unboom;
    private readonly MultiheadLeap attention;
    private readonly Dropout dropout;

    public LeapBlock(LeapConfig config, int window, WeightInitializer initializer, DropoutNoise noise)
        : base(nameof(LeapBlock))
    {
        long d = config.HiddenSize;
        pre_norm = nn.LayerNorm(d, device: initializer.Device, dtype: ScalarType.Float32);
        boom_norm = nn.LayerNorm(d, device: initializer.Device, dtype: ScalarType.Float32);
        projections = new Linear(d, 4 * d, initializer);
        boom = new Linear(d, 4 * d, initializer);
        unboom = new Linear(4 * d, d, initializer);
        attention = new MultiheadLeap(config.HeadCount, window, config.RescaleValue, new Dropout(config.Dropout, noise));
        dropout = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor? padding) => Forward(x, padding, null, null);

    /// <summary>Runs the block.</summary>
    /// <param name="x">[B, N, d].</param>
    /// <param name="padding">True where there is no token, [B, N]; null where there is no padding.</param>
    /// <param name="capture">Takes what the attention focused on; null where nobody asks.</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    public Tensor Forward(Tensor x, Tensor? padding, FocusCapture? capture, PackedDocuments? documents) => Through(x, P =>
    {
        capture?.Add(attention.Observe(P, padding));
        return attention.Forward(P, padding, documents);
    });

    /// <summary>Computes from where states stand, and takes them along.</summary>
    /// <param name="x">[B, N, d].</param>
    /// <param name="layer">The number of this block.</param>
    /// <param name="states">B states.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Continue(Tensor x, int layer, IReadOnlyList<RecurrentState> states) =>
        Through(x, P => attention.Continue(P, layer, states));

    private Tensor Through(Tensor x, Func<Tensor, Tensor> attend)
    {
        // What the backward pass needs lives on; the rest is freed here, not at the end of the step.
        using DisposeScope scope = NewDisposeScope();
        x = TensorSum.Of(x, attend(projections.Product(pre_norm.call(x))));
        x = TensorSum.Of(x, dropout.call(FeedForward(boom_norm.call(pre_norm.call(x)))));
        return x.MoveToOuterDisposeScope();
    }

    private Tensor FeedForward(Tensor n) => unboom.Product(Gelu.Of(boom.Product(n))).to(n.dtype);
}
