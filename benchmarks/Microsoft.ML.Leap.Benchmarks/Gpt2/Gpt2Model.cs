using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The baseline: GPT-2 (Radford et al. 2019), for the trainer, the loss and the checkpoints that LEAP has.</summary>
/// <remarks>As in LEAP, the logits have a bias of their own, and GELU is the exact one. The embeddings carry LEAP's names, so that
/// weight decay treats them alike. What a configuration says of windows and focus is not looked at.</remarks>
internal sealed class Gpt2Model : LanguageModelNetwork
{
    private readonly Embedding word_embedding;
    private readonly Embedding position_embeddings;
    private readonly TiedHead proj_logits;
    private readonly ModuleList<Gpt2Block> h;
    private readonly LayerNorm ln_f;
    private readonly Dropout drop;
    private readonly DropoutNoise _noise;

    /// <inheritdoc cref="LeapModel(LeapConfig, Device, long)"/>
    public Gpt2Model(LeapConfig config, Device device, long seed)
        : base(nameof(Gpt2Model))
    {
        using DisposeScope scope = NewDisposeScope();
        Config = config;
        using var initializer = new WeightInitializer(config.InitializerRange, device, seed);
        using var residualInitializer = new WeightInitializer(
            config.InitializerRange / Math.Sqrt(2 * config.LayerCount), device, unchecked(seed + 1));
        _noise = new DropoutNoise(seed);
        word_embedding = new Embedding(config.VocabularySize, config.HiddenSize, initializer);
        position_embeddings = new Embedding(config.ContextLength, config.HiddenSize, initializer);
        proj_logits = new TiedHead(config.VocabularySize, initializer);
        h = new ModuleList<Gpt2Block>(
            [.. Enumerable.Range(0, config.LayerCount).Select(_ => new Gpt2Block(config, initializer, residualInitializer, _noise))]);
        ln_f = nn.LayerNorm(config.HiddenSize, device: device, dtype: ScalarType.Float32);
        drop = new Dropout(config.Dropout, _noise);
        RegisterComponents();

        Weights = [.. named_parameters().Select(p => (p.name, p.parameter))];
        foreach (var (_, weight) in Weights)
            weight.DetachFromDisposeScope();
    }

    public override LeapConfig Config { get; }

    public override IReadOnlyList<(string Name, Parameter Weight)> Weights { get; }

    public override Parameter HeadWeight => word_embedding.Weight;

    public override Parameter HeadBias => proj_logits.Bias;

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">There is a mask. Padding at the end needs none: causal attention never looks there.</exception>
    public override Tensor Hidden(Tensor inputIds, Tensor? attentionMask)
    {
        if (attentionMask is not null)
            throw new NotSupportedException("The GPT-2 baseline takes no mask; pad at the end.");
        Tensor x = drop.call(word_embedding.call(inputIds) + position_embeddings.Weight.narrow(0, 0, inputIds.shape[1]));
        foreach (Gpt2Block block in h)
            x = block.call(x);
        return ln_f.call(x);
    }

    public override Tensor Logits(Tensor hidden) => proj_logits.call(hidden, word_embedding.Weight);

    public override void SeedDropout(long seed) => _noise.Seed(seed);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _noise.Dispose();
        base.Dispose(disposing);
    }
}
