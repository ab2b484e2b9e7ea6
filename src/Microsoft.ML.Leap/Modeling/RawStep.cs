using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>The network over one token after another on the CPU, without tensors: the same equations as <see cref="LeapBlock"/>'s, in loops over
/// raw memory. One thread at a time.</summary>
internal sealed unsafe class RawStep : IDisposable
{
    private readonly LeapConfig _config;
    private readonly RawWeights _weights;
    private readonly float* _memory;
    private readonly float* _x;
    private readonly float* _n;
    private readonly float* _attended;
    private readonly float* _inner;
    private readonly (CarriedSums Sums, IHeadPass Attention)[] _layers;

    public RawStep(LeapConfig config, RawWeights weights)
    {
        _config = config;
        _weights = weights;
        nuint d = (nuint)config.HiddenSize;
        _memory = (float*)NativeMemory.AlignedAlloc(7 * d * sizeof(float), 64);
        _x = _memory;
        _n = _x + d;
        _attended = _n + d;
        _inner = _attended + d;
        using var state = new RawRecurrentState(config);
        _layers = [.. Enumerable.Range(0, config.LayerCount).Select(l => Layer(l, state.Form(l)))];
    }

    /// <summary>Reads a token where a state stands, and takes the state along.</summary>
    /// <param name="id">The token's id, below the vocabulary's size.</param>
    /// <param name="state">The state. A position past the last learned one is read as that.</param>
    /// <param name="hidden">What the output layer sees, [d].</param>
    public void Run(int id, RawRecurrentState state, float* hidden)
    {
        int d = _config.HiddenSize;
        new ReadOnlySpan<float>(_weights.WordEmbedding + (long)id * d, d).CopyTo(Values(_x));
        if (_weights.Positions is not null)
            Add(_x, _weights.Positions + Math.Min(state.Position, _config.ContextLength - 1) * d);
        for (int l = 0; l < _layers.Length; l++)
            Block(l, state);
        Norm(_weights.LastNorm, _x, hidden);
        state.Position++;
        GC.KeepAlive(state);
    }

    public void Dispose()
    {
        foreach (var (_, attention) in _layers)
            attention.Dispose();
        NativeMemory.AlignedFree(_memory);
    }

    private (CarriedSums Sums, IHeadPass Attention) Layer(int layer, SlidingSumsForm form)
    {
        int window = form.IsGlobal ? int.MaxValue : form.Window;
        var shape = new LeapShape(1, 1, _config.HeadCount, _config.HeadSize, window, _config.RescaleValue, null, null);
        var sums = new CarriedSums(form, [0]);
        return (sums, FusedLeap.CreateForward(shape, new LeapMemory(_inner, _attended, sums)));
    }

    private void Block(int layer, RawRecurrentState state)
    {
        int d = _config.HiddenSize;
        RawWeights.Block weights = _weights.Blocks[layer];
        (CarriedSums sums, IHeadPass attention) = _layers[layer];

        Norm(weights.PreNorm, _x, _n);
        Product(weights.Projections, 4 * d, d, _n, _inner);
        sums.SetFirst(state.Layer(layer));
        for (int head = 0; head < _config.HeadCount; head++)
            attention.Run(0, head);
        Add(_x, _attended);

        Norm(weights.PreNorm, _x, _n);
        Norm(weights.BoomNorm, _n, _n);
        Product(weights.Boom, 4 * d, d, _n, _inner);
        Gelu.Of(_inner, _inner, 4 * d);
        Product(weights.Unboom, d, 4 * d, _inner, _n);
        Add(_x, _n);
    }

    private Span<float> Values(float* vector) => new(vector, _config.HiddenSize);

    private void Add(float* sum, float* summand)
    {
        for (int k = 0; k < _config.HiddenSize; k++)
            sum[k] += summand[k];
    }

    private void Norm(RawWeights.Norm norm, float* x, float* y) => LayerNormKernel.Run(x, norm.Weight, norm.Bias, y, _config.HiddenSize);

    private static void Product(float* matrix, int rows, int columns, float* x, float* y)
    {
        nint from = (nint)x;
        nint to = (nint)y;
        MatrixVector.Multiply(matrix, null, 0, rows, columns, new ReadOnlySpan<nint>(in from), new ReadOnlySpan<nint>(in to));
    }
}
