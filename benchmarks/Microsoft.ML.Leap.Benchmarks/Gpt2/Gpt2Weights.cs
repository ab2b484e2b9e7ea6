using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Where the baseline's weights lie in memory, on the CPU. Good for as long as the network lives.</summary>
internal sealed unsafe class Gpt2Weights
{
    private readonly Dictionary<string, nint> _byName;

    public Gpt2Weights(Gpt2Model model)
    {
        using DisposeScope scope = NewDisposeScope();
        Config = model.Config;
        _byName = model.Weights.ToDictionary(weight => weight.Name, weight => (nint)RawMemory.Singles(weight.Weight));
        Blocks = [.. Enumerable.Range(0, Config.LayerCount).Select(l => new Block(this, $"h.{l}."))];
    }

    public LeapConfig Config { get; }

    /// <summary>Gets the table of word vectors, which is the output layer's matrix too, [V, d].</summary>
    public float* WordEmbedding => Of("word_embedding.weight");

    /// <summary>Gets the table of positions, [N, d].</summary>
    public float* Positions => Of("position_embeddings.weight");

    /// <summary>Gets the output layer's bias, [V].</summary>
    public float* HeadBias => Of("proj_logits.bias");

    public Affine LastNorm => Pair("ln_f");

    public Block[] Blocks { get; }

    private float* Of(string name) => (float*)_byName[name];

    private Affine Pair(string name) => new(Of(name + ".weight"), Of(name + ".bias"));

    /// <summary>A weight and its bias.</summary>
    internal readonly struct Affine(float* weight, float* bias)
    {
        public float* Weight { get; } = weight;

        public float* Bias { get; } = bias;
    }

    /// <summary>The weights of a block.</summary>
    internal sealed class Block(Gpt2Weights weights, string prefix)
    {
        public Affine Norm1 { get; } = weights.Pair(prefix + "ln_1");

        public Affine Norm2 { get; } = weights.Pair(prefix + "ln_2");

        /// <summary>Gets [3 d, d]: queries, keys, values.</summary>
        public Affine Attention { get; } = weights.Pair(prefix + "c_attn");

        /// <summary>Gets [d, d].</summary>
        public Affine Projection { get; } = weights.Pair(prefix + "c_proj");

        /// <summary>Gets [4 d, d].</summary>
        public Affine Expand { get; } = weights.Pair(prefix + "c_fc");

        /// <summary>Gets [d, 4 d].</summary>
        public Affine Contract { get; } = weights.Pair(prefix + "mlp_proj");
    }
}
