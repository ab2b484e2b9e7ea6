using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A network that reads texts token by token: each new token costs the same, however many came before. Thread-safe; states are not.</summary>
/// <remarks>On the CPU single tokens go through loops over raw memory, and what is computed for a text does not depend on which others are read with
/// it; elsewhere, and with many tokens of one text, through tensors.</remarks>
internal sealed unsafe class RecurrentNetwork : IDisposable
{
    // From here on one pass of tensors takes less time than as many single steps.
    private const int LeastPass = 16;

    // Tokens of one pass: enough for a fast product, and a bound for memory.
    private const int LongestPass = 2048;

    private const int HeadRowsAPart = 2048;

    private readonly LeapModel _model;
    private readonly RawWeights? _weights;
    private readonly ConcurrentBag<RawStep> _idle = [];
    private readonly Lazy<byte[]> _fingerprint;
    private volatile bool _isDisposed;

    /// <param name="model">The network, in evaluation. It is not disposed with this object.</param>
    public RecurrentNetwork(LeapModel model)
    {
        _model = model;
        _fingerprint = new Lazy<byte[]>(() => ModelFingerprint.Of(model));
        if (model.Device.type == DeviceType.CPU)
            _weights = new RawWeights(model);
    }

    public LeapConfig Config => _model.Config;

    /// <summary>Gets what tells this network from others.</summary>
    public byte[] Fingerprint
    {
        get
        {
            ThrowIfDisposed();
            return _fingerprint.Value;
        }
    }

    public RecurrentState CreateState() => RecurrentState.Create(Config, _model.Device);

    /// <summary>Reads tokens where a state stands.</summary>
    /// <param name="ids">At least one token id.</param>
    /// <param name="state">The state.</param>
    /// <param name="hidden">What the output layer sees at the last token, [d].</param>
    public void Read(ReadOnlySpan<int> ids, RecurrentState state, Span<float> hidden)
    {
        ThrowIfDisposed();
        if (ids.Length < LeastPass && state is RawRecurrentState raw)
        {
            ReadSingly(ids, raw, hidden);
            return;
        }

        for (int start = 0; start < ids.Length; start += LongestPass)
            Pass(ids[start..Math.Min(ids.Length, start + LongestPass)], state, hidden);
    }

    /// <summary>Reads one more token of each of several texts.</summary>
    /// <param name="ids">A token id a text.</param>
    /// <param name="states">The texts' states.</param>
    /// <param name="hidden">What the output layer sees of each, [d].</param>
    public void Step(int[] ids, IReadOnlyList<RecurrentState> states, float[][] hidden)
    {
        ThrowIfDisposed();
        if (_weights is not null)
        {
            CpuWork.ForEach(ids.Length, isSmall: false, () => new Rented(this), (rented, i) => Run(rented.Step, ids[i], states[i], hidden[i]));
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor result = _model.Continue(tensor([.. ids.Select(id => (long)id)], [ids.Length, 1], device: _model.Device), states);
        float[] values = result.cpu().data<float>().ToArray();
        for (int i = 0; i < ids.Length; i++)
            values.AsSpan(i * Config.HiddenSize, Config.HiddenSize).CopyTo(hidden[i]);
    }

    /// <summary>Computes the logits of the next token.</summary>
    /// <param name="hidden">What the output layer sees of each text, [d].</param>
    /// <param name="logits">Where they go, [V] a text.</param>
    public void Logits(float[][] hidden, float[][] logits)
    {
        ThrowIfDisposed();
        if (_weights is not null)
        {
            RawLogits(hidden, logits);
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        float[] rows = [.. hidden.SelectMany(row => row)];
        float[] values = _model.Logits(tensor(rows, [hidden.Length, Config.HiddenSize], device: _model.Device)).cpu().data<float>().ToArray();
        for (int i = 0; i < logits.Length; i++)
            values.AsSpan(i * Config.VocabularySize, Config.VocabularySize).CopyTo(logits[i]);
    }

    public void Dispose()
    {
        _isDisposed = true;
        while (_idle.TryTake(out RawStep? step))
            step.Dispose();
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, typeof(LeapLanguageModelTransformer));

    private static void Run(RawStep step, int id, RecurrentState state, Span<float> hidden)
    {
        fixed (float* pointer = hidden)
            step.Run(id, (RawRecurrentState)state, pointer);
    }

    private void ReadSingly(ReadOnlySpan<int> ids, RawRecurrentState state, Span<float> hidden)
    {
        using var rented = new Rented(this);
        foreach (int id in ids)
            Run(rented.Step, id, state, hidden);
    }

    private void Pass(ReadOnlySpan<int> ids, RecurrentState state, Span<float> hidden)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] inputs = new long[ids.Length];
        for (int i = 0; i < inputs.Length; i++)
            inputs[i] = ids[i];
        Tensor result = _model.Continue(tensor(inputs, [1, inputs.Length], device: _model.Device), [state]);
        result[0, -1].cpu().data<float>().ToArray().CopyTo(hidden);
    }

    private void RawLogits(float[][] hidden, float[][] logits)
    {
        GCHandle[] pins = [.. hidden.Concat(logits).Select(array => GCHandle.Alloc(array, GCHandleType.Pinned))];
        nint[] addresses = [.. pins.Select(pin => pin.AddrOfPinnedObject())];
        try
        {
            CpuWork.ForRanges(Config.VocabularySize, HeadRowsAPart, (first, count) => MatrixVector.Multiply(
                _weights!.WordEmbedding,
                _weights.HeadBias,
                (int)first,
                count,
                Config.HiddenSize,
                addresses.AsSpan(0, hidden.Length),
                addresses.AsSpan(hidden.Length)));
        }
        finally
        {
            foreach (GCHandle pin in pins)
                pin.Free();
        }
    }

    // A step's scratch memory, on loan for a moment.
    private sealed class Rented : IDisposable
    {
        private readonly RecurrentNetwork _owner;

        public Rented(RecurrentNetwork owner)
        {
            _owner = owner;
            Step = owner._idle.TryTake(out RawStep? idle) ? idle : new RawStep(owner.Config, owner._weights!);
        }

        public RawStep Step { get; }

        public void Dispose()
        {
            if (_owner._isDisposed)
                Step.Dispose();
            else
                _owner._idle.Add(Step);
        }
    }
}
