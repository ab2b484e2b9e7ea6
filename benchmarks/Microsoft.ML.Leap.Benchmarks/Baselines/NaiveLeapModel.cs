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
