using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Where the weights of a network lie in memory, on the CPU. Good for as long as the network is neither disposed nor moved.</summary>
internal sealed unsafe class RawWeights
{
    private readonly Dictionary<string, nint> _byName;

    public RawWeights(LeapModel model)
    {
        using DisposeScope scope = NewDisposeScope();
        _byName = model.Weights.ToDictionary(weight => weight.Name, weight => (nint)RawMemory.Singles(weight.Weight));
        WordEmbedding = Of(Checkpoint.WordEmbedding);
        HeadBias = Of("proj_logits.bias");
        Positions = model.Config.UsePositionEmbeddings ? Of("leap_model.position_embeddings.weight") : null;
        LastNorm = new Norm(Of("last_norm.weight"), Of("last_norm.bias"));
        Blocks = [.. Enumerable.Range(0, model.Config.LayerCount).Select(l => new Block(this, $"leap_model.decoders.{l}."))];
    }

    /// <summary>Gets the table of word vectors, which is the output layer's matrix too, [V, d].</summary>
    public float* WordEmbedding { get; }

    /// <summary>Gets the output layer's bias, [V].</summary>
    public float* HeadBias { get; }

    /// <summary>Gets the table of positions, [N, d]; null where there are none.</summary>
    public float* Positions { get; }

    public Norm LastNorm { get; }

    public Block[] Blocks { get; }

    private float* Of(string name) => (float*)_byName[name];

    /// <summary>The weights of a layer norm, [d] each.</summary>
    internal readonly struct Norm(float* weight, float* bias)
    {
        public float* Weight { get; } = weight;

        public float* Bias { get; } = bias;
    }

    /// <summary>The weights of a block.</summary>
    internal sealed class Block(RawWeights weights, string prefix)
    {
        public Norm PreNorm { get; } = new(weights.Of(prefix + "pre_norm.weight"), weights.Of(prefix + "pre_norm.bias"));

        public Norm BoomNorm { get; } = new(weights.Of(prefix + "boom_norm.weight"), weights.Of(prefix + "boom_norm.bias"));

        /// <summary>Gets [4 d, d].</summary>
        public float* Projections { get; } = weights.Of(prefix + "projections.weight");

        /// <summary>Gets [4 d, d].</summary>
        public float* Boom { get; } = weights.Of(prefix + "boom.weight");

        /// <summary>Gets [d, 4 d].</summary>
        public float* Unboom { get; } = weights.Of(prefix + "unboom.weight");
    }
}
