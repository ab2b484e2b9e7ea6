using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The LEAP language model: token ids in, a logit for each possible next token out.</summary>
/// <remarks>Field names are the names of the tensors in checkpoints. Not thread-safe while training; evaluation by several threads
/// at once is safe. Tensors that a call makes go to the caller's dispose scope.</remarks>
internal sealed class LeapModel : LanguageModelNetwork
{
    private readonly Embedding word_embedding;
    private readonly TiedHead proj_logits;
    private readonly LeapDecoder leap_model;
    private readonly LayerNorm last_norm;
    private readonly DropoutNoise _noise;

    /// <summary>Creates a model with initial weights.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="device">Where its weights live.</param>
    /// <param name="seed">Decides the weights, whatever the device, and the dropout until <see cref="SeedDropout"/>.</param>
    public LeapModel(LeapConfig config, Device device, long seed)
        : base(nameof(LeapModel))
    {
        // What the modules make on their way, frees itself here; the weights alone are kept.
        using DisposeScope scope = NewDisposeScope();
        Config = config;
        using var initializer = new WeightInitializer(config.InitializerRange, device, seed);
        _noise = new DropoutNoise(seed);
        word_embedding = new Embedding(config.VocabularySize, config.HiddenSize, initializer);
        proj_logits = new TiedHead(config.VocabularySize, initializer);
        leap_model = new LeapDecoder(config, initializer, _noise);
        last_norm = nn.LayerNorm(config.HiddenSize, device: device, dtype: ScalarType.Float32);
        RegisterComponents();

        Weights = [.. named_parameters().Select(p => (p.name, p.parameter))];
        foreach (var (_, weight) in Weights)
            weight.DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public override LeapConfig Config { get; }

    /// <summary>Gets every weight once, under its checkpoint's name; the tied matrix is <c>word_embedding.weight</c>.</summary>
    public override IReadOnlyList<(string Name, Parameter Weight)> Weights { get; }

    /// <inheritdoc/>
    public override Parameter HeadWeight => word_embedding.Weight;

    /// <inheritdoc/>
    public override Parameter HeadBias => proj_logits.Bias;

    /// <inheritdoc/>
    public override Tensor Hidden(Tensor inputIds, Tensor? attentionMask) => Hidden(inputIds, attentionMask, null);

    /// <summary>Computes what the output layer sees, and tells what each layer focused on.</summary>
    /// <param name="inputIds">Token ids, int64 [B, N], N at most the context length.</param>
    /// <param name="attentionMask">True at real tokens, false at padding, bool [B, N]; null where all are real.</param>
    /// <param name="capture">Takes the layers' focus weights and gates; null where nobody asks.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Hidden(Tensor inputIds, Tensor? attentionMask, FocusCapture? capture)
    {
        RequireFits(inputIds, attentionMask);
        Tensor x = word_embedding.call(inputIds);
        x = leap_model.Forward(x, attentionMask?.logical_not(), capture, null);
        return last_norm.call(x);
    }

    /// <inheritdoc/>
    /// <remarks>Positions would go on from one document to the next, and other devices compute padded documents faster.</remarks>
    public override bool CanPack => !Config.UsePositionEmbeddings && Device.type == DeviceType.CPU;

    /// <inheritdoc/>
    public override Tensor HiddenOfPacked(Tensor inputIds, PackedDocuments documents) =>
        last_norm.call(leap_model.Forward(word_embedding.call(inputIds), null, null, documents));

    /// <summary>Computes what the output layer sees from where states stand, and takes the states along; evaluation only.</summary>
    /// <param name="inputIds">The next token ids, int64 [B, N], of any length.</param>
    /// <param name="states">B states, each of its own sequence, of a kind that <see cref="RecurrentState.Create"/> makes for this device.
    /// Positions past the context's end are read as its last.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Continue(Tensor inputIds, IReadOnlyList<RecurrentState> states)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        return last_norm.call(leap_model.Continue(word_embedding.call(inputIds), states)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden) => proj_logits.call(hidden, word_embedding.Weight);

    /// <inheritdoc/>
    public override void SeedDropout(long seed) => _noise.Seed(seed);

    /// <summary>Takes over the weights of a model of the same shape, on whatever device.</summary>
    public void CopyWeightsFrom(LeapModel other)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        foreach (((_, Parameter own), (_, Parameter others)) in Weights.Zip(other.Weights))
            own.copy_(others);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _noise.Dispose();
        base.Dispose(disposing);
    }

    private void RequireFits(Tensor inputIds, Tensor? attentionMask)
    {
        if (inputIds.dim() != 2 || inputIds.shape[1] > Config.ContextLength)
        {
            throw new ArgumentException(
                $"Expected ids of shape [batch, length] with a length of at most {Config.ContextLength}, " +
                $"but got [{string.Join(", ", inputIds.shape)}].",
                nameof(inputIds));
        }

        if (attentionMask is not null && !attentionMask.shape.AsSpan().SequenceEqual(inputIds.shape))
        {
            throw new ArgumentException(
                $"The mask's shape, [{string.Join(", ", attentionMask.shape)}], must be that of the ids, [{string.Join(", ", inputIds.shape)}].",
                nameof(attentionMask));
        }
    }
}
