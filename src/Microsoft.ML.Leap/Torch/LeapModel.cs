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
    public override Tensor Hidden(Tensor inputIds)
    {
        RequireFits(inputIds);
        return last_norm.call(leap_model.call(word_embedding.call(inputIds)));
    }

    /// <inheritdoc/>
    /// <remarks>Positions would go on from one document to the next, and other devices compute padded documents faster.</remarks>
    public override bool CanPack => !Config.UsePositionEmbeddings && Device.type == DeviceType.CPU && !RawMemory.IsHidden;

    /// <inheritdoc/>
    public override Tensor HiddenOfPacked(Tensor inputIds, PackedDocuments documents) =>
        last_norm.call(leap_model.Forward(word_embedding.call(inputIds), documents));

    /// <inheritdoc/>
    public override Tensor Logits(Tensor hidden) => proj_logits.call(hidden, word_embedding.Weight);

    /// <inheritdoc/>
    public override void SeedDropout(long seed) => _noise.Seed(seed);

    /// <inheritdoc/>
    protected override LanguageModelNetwork CreateLike() => new LeapModel(Config, Device, seed: 0);

    /// <summary>Copies the weights into arrays, by name and in row-major order.</summary>
    public Dictionary<string, float[]> GetWeights()
    {
        using DisposeScope scope = NewDisposeScope();
        return Weights.ToDictionary(entry => entry.Name, entry => entry.Weight.detach().cpu().contiguous().data<float>().ToArray(), StringComparer.Ordinal);
    }

    /// <summary>Takes over weights that are named as this model's.</summary>
    public void SetWeights(IReadOnlyDictionary<string, float[]> weights)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        foreach ((string name, Parameter weight) in Weights)
            weight.copy_(tensor(weights[name], weight.shape));
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _noise.Dispose();
        base.Dispose(disposing);
    }

    private void RequireFits(Tensor inputIds)
    {
        if (inputIds.dim() != 2 || inputIds.shape[1] > Config.ReadingLength)
        {
            throw new ArgumentException(
                $"Expected ids of shape [batch, length] with a length of at most {Config.ReadingLength}, " +
                $"but got [{string.Join(", ", inputIds.shape)}].",
                nameof(inputIds));
        }
    }
}

/// <summary>The stack of decoder blocks, on word vectors to which the positions' vectors are added.</summary>
internal sealed class LeapDecoder : nn.Module<Tensor, Tensor>
{
    private readonly Embedding? position_embeddings;
    private readonly ModuleList<LeapBlock> decoders;
    private readonly Dropout dropout;

    public LeapDecoder(LeapConfig config, WeightInitializer initializer, DropoutNoise noise)
        : base(nameof(LeapDecoder))
    {
        position_embeddings = config.UsePositionEmbeddings ? new Embedding(config.ContextLength, config.HiddenSize, initializer) : null;
        decoders = new ModuleList<LeapBlock>([.. config.WindowSizes.Select(w => new LeapBlock(config, w, initializer, noise))]);
        dropout = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor words) => Forward(words, null);

    /// <summary>Runs the blocks.</summary>
    /// <param name="words">[B, N, d].</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Forward(Tensor words, PackedDocuments? documents)
    {
        Tensor x = position_embeddings is null ? words : words.Plus(position_embeddings.Weight.narrow(0, 0, words.shape[1]));
        x = dropout.call(x);
        foreach (LeapBlock decoder in decoders)
            x = decoder.Forward(x, documents);
        return x;
    }
}

/// <summary>One decoder block: attention, then a feed-forward part, each added to its input.</summary>
internal sealed class LeapBlock : nn.Module<Tensor, Tensor>
{
    private readonly LayerNorm pre_norm;
    private readonly LayerNorm boom_norm;
    private readonly CausalConvolution? pre_convolution;
    private readonly CausalConvolution? boom_convolution;
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
        if (config.ConvolutionSize > 0)
        {
            pre_convolution = new CausalConvolution(config.ConvolutionSize, d, initializer);
            boom_convolution = new CausalConvolution(config.ConvolutionSize, d, initializer);
        }

        projections = new Linear(d, config.ProjectionsSize, initializer);
        boom = new Linear(d, config.FeedForwardSize, initializer);
        unboom = new Linear(config.FeedForwardSize, d, initializer);
        attention = new MultiheadLeap(
            config.HeadCount, config.FocusSize, window, config.RescaleValue, new Dropout(config.Dropout, noise), config.GetForgetOffsets());
        dropout = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => Forward(x, null);

    /// <summary>Runs the block.</summary>
    /// <param name="x">[B, N, d].</param>
    /// <param name="documents">The documents that the sequence is made of; null for one.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Forward(Tensor x, PackedDocuments? documents)
    {
        // What the backward pass needs lives on; the rest is freed here, not at the end of the step.
        using DisposeScope scope = NewDisposeScope();
        Tensor n = pre_norm.call(x);
        Tensor convolved = pre_convolution?.Forward(n, projections.ProductType, documents) ?? n;
        x = x.Plus(attention.Forward(projections.Product(convolved), documents));

        n = boom_norm.call(pre_norm.call(x));
        convolved = boom_convolution?.Forward(n, boom.ProductType, documents) ?? n;
        Tensor fed = unboom.Product(Gelu.Apply(boom.Product(convolved))).to(n.dtype);
        x = x.Plus(dropout.call(fed));
        return x.MoveToOuterDisposeScope();
    }
}
