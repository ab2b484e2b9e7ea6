using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The baseline over one token after another with a key-value cache, on the CPU without tensors: with the kernels that LEAP's own
/// steps use, so that the two differ in the network alone.</summary>
internal sealed unsafe class Gpt2Step : IDisposable
{
    // Cached values of a layer from which its heads are worth more than one thread.
    private const long ManyValues = 1 << 18;

    private const int HeadRowsAPart = 2048;

    private readonly LeapConfig _config;
    private readonly Gpt2Weights _weights;
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
        new ReadOnlySpan<float>(_weights.WordEmbedding + (long)id * d, d).CopyTo(new Span<float>(_x, d));
        Add(_weights.Positions + (long)cache.Length * d);
        for (int l = 0; l < _config.LayerCount; l++)
            Block(l, cache);
        fixed (float* result = hidden)
            Norm(_weights.LastNorm, result);
        cache.Length++;
    }

    /// <summary>Computes the logits of the next token, [V], from what the output layer sees, [d].</summary>
    public void Logits(float[] hidden, float[] logits)
    {
        fixed (float* x = hidden, y = logits)
        {
            nint from = (nint)x;
            nint to = (nint)y;
            CpuWork.ForRanges(_config.VocabularySize, HeadRowsAPart, (first, count) => MatrixVector.Multiply(
                _weights.WordEmbedding, _weights.HeadBias, (int)first, count, _config.HiddenSize, [from], [to]));
        }
    }

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private void Block(int layer, KeyValueCache cache)
    {
        int d = _config.HiddenSize;
        Gpt2Weights.Block weights = _weights.Blocks[layer];
        Norm(weights.Norm1, _n);
        Product(weights.Attention, 3 * d, d, _n, _inner);
        Attend(layer, cache);
        Product(weights.Projection, d, d, _n, _inner);
        Add(_inner);

        Norm(weights.Norm2, _n);
        Product(weights.Expand, 4 * d, d, _n, _inner);
        Gelu.Of(_inner, _inner, 4 * d);
        Product(weights.Contract, d, 4 * d, _inner, _n);
        Add(_n);
    }

    // From queries, keys and values in _inner to the heads' results in _n.
    private void Attend(int layer, KeyValueCache cache)
    {
        if ((cache.Length + 1L) * _config.HiddenSize >= ManyValues)
        {
            CpuWork.ForRanges(_config.HeadCount, 1, (head, _) => Attend(layer, (int)head, cache));
            return;
        }

        for (int head = 0; head < _config.HeadCount; head++)
            Attend(layer, head, cache);
    }

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

    private void Norm(Gpt2Weights.Affine norm, float* y) => LayerNormKernel.Run(_x, norm.Weight, norm.Bias, y, _config.HiddenSize);

    private static void Product(Gpt2Weights.Affine affine, int rows, int columns, float* x, float* y)
    {
        nint from = (nint)x;
        nint to = (nint)y;
        MatrixVector.Multiply(affine.Weight, affine.Bias, 0, rows, columns, new ReadOnlySpan<nint>(in from), new ReadOnlySpan<nint>(in to));
    }
}
