using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP as its author wrote it, from torch's own modules: what this library's speed and memory are compared with.</summary>
/// <remarks>The equations are those of <see cref="LeapModel"/>; the windowed sums are differences of running sums, which lose all their
/// digits where the focus is peaked, the standard deviation is torch's, and the logits of all tokens exist at once.</remarks>
internal sealed class NaiveLeapModel : nn.Module<Tensor, Tensor>
{
    private readonly TorchSharp.Modules.Embedding word_embedding;
    private readonly TorchSharp.Modules.Embedding position_embeddings;
    private readonly ModuleList<NaiveLeapBlock> decoders;
    private readonly LayerNorm last_norm;
    private readonly TorchSharp.Modules.Dropout dropout;
    private readonly Parameter proj_bias;

    /// <param name="config">The shape; the weights are drawn from torch's global generator.</param>
    public NaiveLeapModel(LeapConfig config)
        : base(nameof(NaiveLeapModel))
    {
        word_embedding = nn.Embedding(config.VocabularySize, config.HiddenSize);
        position_embeddings = nn.Embedding(config.ContextLength, config.HiddenSize);
        decoders = new ModuleList<NaiveLeapBlock>([.. config.WindowSizes.Select(window => new NaiveLeapBlock(config, window))]);
        last_norm = nn.LayerNorm(config.HiddenSize);
        dropout = nn.Dropout(config.Dropout);
        proj_bias = new Parameter(zeros(config.VocabularySize));
        RegisterComponents();
        using var noGradients = no_grad();
        foreach (Parameter matrix in parameters().Where(weight => weight.dim() == 2))
            nn.init.normal_(matrix, 0, config.InitializerRange);
    }

    /// <summary>Computes the logits, [B, N, V], of ids, [B, N]. The output layer's matrix is the word embedding's.</summary>
    public override Tensor forward(Tensor ids)
    {
        Tensor positions = arange(ids.shape[1], ScalarType.Int64, ids.device);
        Tensor x = dropout.call(word_embedding.call(ids) + position_embeddings.call(positions));
        foreach (NaiveLeapBlock decoder in decoders)
            x = decoder.call(x);
        return nn.functional.linear(last_norm.call(x), word_embedding.weight!, proj_bias);
    }
}

/// <summary>One decoder block of <see cref="NaiveLeapModel"/>.</summary>
internal sealed class NaiveLeapBlock : nn.Module<Tensor, Tensor>
{
    private const double Epsilon = 1e-5;

    private readonly long _headCount;
    private readonly int _window;
    private readonly double _rescale;
    private readonly LayerNorm pre_norm;
    private readonly LayerNorm boom_norm;
    private readonly TorchSharp.Modules.Linear projections;
    private readonly TorchSharp.Modules.Linear boom;
    private readonly TorchSharp.Modules.Linear unboom;
    private readonly TorchSharp.Modules.Dropout dropout;

    public NaiveLeapBlock(LeapConfig config, int window)
        : base(nameof(NaiveLeapBlock))
    {
        long d = config.HiddenSize;
        _headCount = config.HeadCount;
        _window = window;
        _rescale = config.RescaleValue;
        pre_norm = nn.LayerNorm(d);
        boom_norm = nn.LayerNorm(d);
        projections = nn.Linear(d, 4 * d, hasBias: false);
        boom = nn.Linear(d, 4 * d, hasBias: false);
        unboom = nn.Linear(4 * d, d, hasBias: false);
        dropout = nn.Dropout(config.Dropout);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = x + Attend(pre_norm.call(x));
        return x + dropout.call(unboom.call(nn.functional.gelu(boom.call(boom_norm.call(pre_norm.call(x))))));
    }

    private Tensor Attend(Tensor n)
    {
        Tensor[] parts = [.. projections.call(n).chunk(4, -1).Select(part => part.reshape(n.shape[0], n.shape[1], _headCount, -1))];
        var (Q, F1, F2, U) = (parts[0], parts[1], parts[2], parts[3]);
        double e = Q.shape[3];
        Tensor s = (dropout.call(Norm(F1)) * Norm(F2)).sum(-1) * (_rescale / e);
        Tensor f = s.exp().unsqueeze(-1);
        Tensor M = dropout.call(WindowedSum(f * U) / (WindowedSum(f) + Epsilon));
        Tensor a = ((Q * M).sum(-1) / Math.Sqrt(e)).sigmoid();
        return (a.unsqueeze(-1) * M).reshape(n.shape);
    }

    private static Tensor Norm(Tensor y) => (y - y.mean([-1], keepdim: true)) / (y.std(-1, unbiased: true, keepdim: true) + Epsilon);

    // The running sum less itself as it was a window ago.
    private Tensor WindowedSum(Tensor x)
    {
        Tensor sums = x.cumsum(1);
        long length = x.shape[1];
        if (_window >= length)
            return sums;
        Tensor none = zeros([x.shape[0], _window, .. x.shape[2..]], x.dtype, x.device);
        return sums - cat([none, sums.narrow(1, 0, length - _window)], 1);
    }
}

/// <summary>One optimizer step of <see cref="NaiveLeapModel"/>: plain automatic differentiation, torch's own clipping and AdamW.</summary>
internal sealed class NaiveLeapStep : IDisposable
{
    private readonly NaiveLeapModel _model;
    private readonly Parameter[] _weights;
    private readonly optim.Optimizer _optimizer;
    private readonly TokenBlocks _blocks;
    private readonly double _maximumGradientNorm;

    public NaiveLeapStep(NaiveLeapModel model, TokenBlocks blocks, LeapLanguageModelTrainer.Options options)
    {
        _model = model;
        _blocks = blocks;
        _maximumGradientNorm = options.MaximumGradientNorm;
        _weights = [.. model.parameters()];
        _optimizer = optim.AdamW(_weights, options.LearningRate!.Value, options.Beta1, options.Beta2, weight_decay: options.WeightDecay!.Value);
    }

    /// <summary>Takes the step and returns its loss.</summary>
    public double Run(TokenBlock[] batch)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets, _) = _blocks.Batch(batch, _weights[0].device);
        _optimizer.zero_grad();
        Tensor logits = _model.call(inputs);
        Tensor loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten());
        loss.backward();
        nn.utils.clip_grad_norm_(_weights, _maximumGradientNorm);
        _optimizer.step();
        return loss.item<float>();
    }

    public void Dispose() => _optimizer.Dispose();
}
