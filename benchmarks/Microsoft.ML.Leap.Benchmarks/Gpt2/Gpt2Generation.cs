using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The baseline over one token after another with a key-value cache, on the CPU without tensors: with the kernels that LEAP's own
/// steps use, so that the two differ in the network alone.</summary>
internal sealed unsafe class Gpt2Step : IDisposable
{
    private readonly LeapConfig _config;
    private readonly Gpt2Weights _weights;
    private readonly WorkSharing _workers = new(threadCount: 0);
    private readonly OutputLayer _output;
    private readonly float* _memory;
    private readonly float* _x;
    private readonly float* _n;
    private readonly float* _inner;
    private readonly float* _scores;
    private readonly int _capacity;

    /// <param name="weights">The network's weights.</param>
    /// <param name="capacity">The most tokens of a cache.</param>
    public Gpt2Step(Gpt2Weights weights, int capacity)
    {
        _weights = weights;
        _config = weights.Config;
        _output = new OutputLayer(weights.Output, _workers);
        _capacity = capacity;
        int d = _config.HiddenSize;
        _memory = (float*)NativeMemory.AlignedAlloc((nuint)((6L * d + (long)_config.HeadCount * capacity) * sizeof(float)), 64);
        _x = _memory;
        _n = _x + d;
        _inner = _n + d;
        _scores = _inner + 4 * d;
    }

    /// <summary>Reads a token, and adds its keys and values to a cache.</summary>
    /// <param name="id">The token's id.</param>
    /// <param name="cache">The cache, with room for one more.</param>
    /// <param name="hidden">What the output layer sees, [d].</param>
    public void Run(int id, KeyValueCache cache, Span<float> hidden)
    {
        int d = _config.HiddenSize;
        if (cache.Length >= Math.Min(Math.Min(cache.Capacity, _capacity), _config.ContextLength))
            throw new InvalidOperationException($"The cache is full: it holds {cache.Length} tokens.");
        _weights.Output.ReadRow(id, new Span<float>(_x, d));
        fixed (float* positions = _weights.Positions)
            Add(positions + (long)cache.Length * d);
        for (int l = 0; l < _config.LayerCount; l++)
            Block(l, cache);
        fixed (float* result = hidden)
            Norm(_weights.LastNorm, result);
        cache.Length++;
    }

    /// <summary>Computes the logits of the next token, [V], from what the output layer sees, [d].</summary>
    public void Logits(float[] hidden, float[] logits) => _output.WriteLogits([hidden], [logits]);

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private void Block(int layer, KeyValueCache cache)
    {
        int d = _config.HiddenSize;
        Gpt2Weights.Block weights = _weights.Blocks[layer];
        Norm(weights.Norm1, _n);
        weights.Attention.Multiply(_n, 1, _inner);
        Attend(layer, cache);
        weights.Projection.Multiply(_n, 1, _inner);
        Add(_inner);

        Norm(weights.Norm2, _n);
        weights.Expand.Multiply(_n, 1, _inner);
        VectorMath.Gelu(_inner, 4 * d);
        weights.Contract.Multiply(_inner, 1, _n);
        Add(_n);
    }

    // From queries, keys and values in _inner to the heads' results in _n. A product with what must come from memory counts twice.
    private void Attend(int layer, KeyValueCache cache) =>
        _workers.For(_config.HeadCount, 4L * (cache.Length + 1) * _config.HiddenSize, head => Attend(layer, head, cache));

    private void Attend(int layer, int head, KeyValueCache cache)
    {
        int d = _config.HiddenSize;
        int e = _config.HeadSize;
        float* query = _inner + head * e;
        float* keys = cache.Keys(layer, head);
        float* values = cache.Values(layer, head);
        new ReadOnlySpan<float>(query + d, e).CopyTo(new Span<float>(keys + (long)cache.Length * e, e));
        new ReadOnlySpan<float>(query + 2 * d, e).CopyTo(new Span<float>(values + (long)cache.Length * e, e));
        float scale = 1 / MathF.Sqrt(e);
        for (int k = 0; k < e; k++)
            query[k] *= scale;
        CachedAttention.Run(query, keys, values, cache.Length + 1, e, _scores + (long)head * _capacity, _n + head * e);
    }

    private void Add(float* summand)
    {
        for (int k = 0; k < _config.HiddenSize; k++)
            _x[k] += summand[k];
    }

    private void Norm(Gpt2Weights.Norm norm, float* y)
    {
        fixed (float* weight = norm.Weight, bias = norm.Bias)
            VectorMath.LayerNorm(_x, weight, bias, y, 1, _config.HiddenSize);
    }
}

/// <summary>The baseline's weights, packed as LEAP's own are.</summary>
internal sealed class Gpt2Weights : IDisposable
{
    private readonly Dictionary<string, float[]> _byName;

    /// <param name="model">The network; without convolutions, which single steps do not have.</param>
    public Gpt2Weights(Gpt2Model model)
    {
        if (model.Config.ConvolutionSize > 0)
            throw new ArgumentException($"GPT-2's single steps have no convolutions, but the model has some of {model.Config.ConvolutionSize}.", nameof(model));
        using DisposeScope scope = NewDisposeScope();
        Config = model.Config;
        _byName = model.Weights.ToDictionary(weight => weight.Name, weight => weight.Weight.detach().cpu().data<float>().ToArray());
        int d = Config.HiddenSize;
        Output = PackedMatrix.Pack(_byName["word_embedding.weight"], Config.VocabularySize, d, WeightFormat.Float32, _byName["proj_logits.bias"]);
        Positions = _byName["position_embeddings.weight"];
        LastNorm = CreateNorm("ln_f");
        Blocks = [.. Enumerable.Range(0, Config.LayerCount).Select(l => new Block(this, $"h.{l}."))];
    }

    public LeapConfig Config { get; }

    /// <summary>Gets the table of word vectors, which is the output layer's matrix too, [V, d], and the output layer's bias.</summary>
    public PackedMatrix Output { get; }

    /// <summary>Gets the table of positions, [N, d].</summary>
    public float[] Positions { get; }

    public Norm LastNorm { get; }

    public Block[] Blocks { get; }

    public void Dispose()
    {
        Output.Dispose();
        foreach (Block block in Blocks)
            block.Dispose();
    }

    private Norm CreateNorm(string name) => new(_byName[name + ".weight"], _byName[name + ".bias"]);

    private PackedMatrix Pack(string name, int rows, int columns) =>
        PackedMatrix.Pack(_byName[name + ".weight"], rows, columns, WeightFormat.Float32, _byName[name + ".bias"]);

    /// <summary>A layer norm's weight and bias.</summary>
    internal sealed record Norm(float[] Weight, float[] Bias);

    /// <summary>The weights of a block.</summary>
    internal sealed class Block(Gpt2Weights weights, string prefix) : IDisposable
    {
        public Norm Norm1 { get; } = weights.CreateNorm(prefix + "ln_1");

        public Norm Norm2 { get; } = weights.CreateNorm(prefix + "ln_2");

        /// <summary>Gets [3 d, d]: queries, keys, values.</summary>
        public PackedMatrix Attention { get; } = weights.Pack(prefix + "c_attn", 3 * weights.Config.HiddenSize, weights.Config.HiddenSize);

        /// <summary>Gets [d, d].</summary>
        public PackedMatrix Projection { get; } = weights.Pack(prefix + "c_proj", weights.Config.HiddenSize, weights.Config.HiddenSize);

        /// <summary>Gets [4 d, d].</summary>
        public PackedMatrix Expand { get; } = weights.Pack(prefix + "c_fc", 4 * weights.Config.HiddenSize, weights.Config.HiddenSize);

        /// <summary>Gets [d, 4 d].</summary>
        public PackedMatrix Contract { get; } = weights.Pack(prefix + "mlp_proj", weights.Config.HiddenSize, 4 * weights.Config.HiddenSize);

        public void Dispose()
        {
            Attention.Dispose();
            Projection.Dispose();
            Expand.Dispose();
            Contract.Dispose();
        }
    }
}

/// <summary>The keys and values that GPT-2 has seen, each head's in one piece: what attention reads, it reads in order.</summary>
internal sealed unsafe class KeyValueCache : IDisposable
{
    private readonly LeapConfig _config;
    private readonly int _capacity;
    private readonly float* _memory;

    /// <param name="config">The network's shape.</param>
    /// <param name="capacity">The most tokens.</param>
    public KeyValueCache(LeapConfig config, int capacity)
    {
        _config = config;
        _capacity = capacity;
        _memory = (float*)NativeMemory.AlignedAlloc((nuint)(2L * config.LayerCount * capacity * config.HiddenSize * sizeof(float)), 64);
    }

    /// <summary>Gets or sets how many tokens it holds.</summary>
    public int Length { get; set; }

    public int Capacity => _capacity;

    /// <summary>Gets a head's keys, [capacity, e].</summary>
    public float* Keys(int layer, int head) => Rows(2 * layer, head);

    /// <summary>Gets a head's values, [capacity, e].</summary>
    public float* Values(int layer, int head) => Rows(2 * layer + 1, head);

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private float* Rows(int part, int head) => _memory + ((long)part * _config.HeadCount + head) * _capacity * _config.HeadSize;
}
