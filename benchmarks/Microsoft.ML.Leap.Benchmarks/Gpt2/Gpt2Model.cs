using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The baseline: GPT-2 (Radford et al. 2019), for the trainer, the loss and the checkpoints that LEAP has.</summary>
/// <remarks>As in LEAP, the logits have a bias of their own, and GELU is the exact one. The embeddings carry LEAP's names, so that
/// weight decay treats them alike. What a configuration says of windows and focus is not looked at. With
/// convolutions it is GPT-2 with all that LEAP has but its attention.</remarks>
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
    public override Tensor Hidden(Tensor inputIds)
    {
        Tensor x = drop.call(word_embedding.call(inputIds).Plus(position_embeddings.Weight.narrow(0, 0, inputIds.shape[1])));
        foreach (Gpt2Block block in h)
            x = block.call(x);
        return ln_f.call(x);
    }

    public override Tensor Logits(Tensor hidden) => proj_logits.call(hidden, word_embedding.Weight);

    public override void SeedDropout(long seed) => _noise.Seed(seed);

    protected override LanguageModelNetwork CreateLike() => new Gpt2Model(Config, Device, seed: 0);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _noise.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>One block of GPT-2: attention, then a feed-forward part, each on the norm of its input and added to it.</summary>
/// <remarks>Dropout is where GPT-2 has it, but for one place: on what a head's attention gives instead of on its weights. With a
/// dropout inside, torch has no fused attention for the CPU: it makes the matrices over pairs of tokens, which takes about 5 times as
/// long at 2,048 tokens, and a gigabyte. It would also draw from torch's global generator.</remarks>
internal sealed class Gpt2Block : nn.Module<Tensor, Tensor>
{
    private readonly long _headCount;
    private readonly LayerNorm ln_1;
    private readonly LayerNorm ln_2;
    private readonly CausalConvolution? attn_convolution;
    private readonly CausalConvolution? mlp_convolution;
    private readonly Linear c_attn;
    private readonly Linear c_proj;
    private readonly Linear c_fc;
    private readonly Linear mlp_proj;
    private readonly Dropout drop;

    /// <param name="config">The sizes.</param>
    /// <param name="initializer">For all matrices but the residual ones.</param>
    /// <param name="residualInitializer">For the matrices whose products are added to the residual stream: GPT-2 starts those lower.</param>
    /// <param name="noise">For the dropout.</param>
    public Gpt2Block(LeapConfig config, WeightInitializer initializer, WeightInitializer residualInitializer, DropoutNoise noise)
        : base(nameof(Gpt2Block))
    {
        long d = config.HiddenSize;
        _headCount = config.HeadCount;
        ln_1 = nn.LayerNorm(d, device: initializer.Device, dtype: ScalarType.Float32);
        ln_2 = nn.LayerNorm(d, device: initializer.Device, dtype: ScalarType.Float32);
        if (config.ConvolutionSize > 0)
        {
            attn_convolution = new CausalConvolution(config.ConvolutionSize, d, initializer);
            mlp_convolution = new CausalConvolution(config.ConvolutionSize, d, initializer);
        }

        c_attn = new Linear(d, 3 * d, initializer, hasBias: true);
        c_proj = new Linear(d, d, residualInitializer, hasBias: true);
        c_fc = new Linear(d, 4 * d, initializer, hasBias: true);
        mlp_proj = new Linear(4 * d, d, residualInitializer, hasBias: true);
        drop = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using DisposeScope scope = NewDisposeScope();
        x = x.Plus(drop.call(c_proj.call(drop.call(Attend(ln_1.call(x))))));
        x = x.Plus(drop.call(FeedForward(ln_2.call(x))));
        return x.MoveToOuterDisposeScope();
    }

    private Tensor FeedForward(Tensor n)
    {
        Tensor convolved = mlp_convolution?.Forward(n, c_fc.ProductType, null) ?? n;
        return mlp_proj.Product(Gelu.Apply(c_fc.Product(convolved))).to(n.dtype);
    }

    private Tensor Attend(Tensor n)
    {
        // Attention's own products are matrix products like all others: in bfloat16, conversions included, it takes 46 ms where single
        // precision takes 63 (forward and backward, 2 x 2,048 tokens).
        // [B, N, 3d] as three of [B, H, N, e], without a copy.
        Tensor convolved = attn_convolution?.Forward(n, c_attn.ProductType, null) ?? n;
        Tensor[] parts = c_attn.Product(convolved).view(n.shape[0], n.shape[1], 3, _headCount, -1).transpose(1, 3).unbind(2);
        Tensor heads = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true);
        return heads.transpose(1, 2).reshape(n.shape).to(n.dtype);
    }
}
