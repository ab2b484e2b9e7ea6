using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A state in memory outside of tensors, on which kernels for the CPU compute: each layer's heads one after another, each a
/// <see cref="SlidingSumsForm"/>.</summary>
internal sealed unsafe class RawRecurrentState : RecurrentState
{
    private readonly LeapConfig _config;
    private readonly SlidingSumsForm[] _forms;
    private readonly long[] _offsets;
    private readonly long _bytes;
    private byte* _memory;

    public RawRecurrentState(LeapConfig config)
    {
        _config = config;
        int rowSize = SlidingSumsForm.RowSizeOf(config.HeadSize);
        _forms = [.. Enumerable.Range(0, config.LayerCount).Select(l => new SlidingSumsForm(WindowOf(config, l), rowSize))];
        _offsets = new long[_forms.Length];
        for (int l = 0; l < _forms.Length; l++)
        {
            _offsets[l] = _bytes;
            _bytes += _forms[l].Bytes * config.HeadCount;
        }

        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)_bytes, 64);
        NativeMemory.Clear(_memory, (nuint)_bytes);
    }

    ~RawRecurrentState() => Free();

    /// <inheritdoc/>
    public override long SizeInBytes => _bytes;

    /// <summary>Gives the sums of a layer for a batch of states.</summary>
    public static CarriedSums Layer(int layer, IReadOnlyList<RecurrentState> states)
    {
        var first = (RawRecurrentState)states[0];
        return new CarriedSums(first._forms[layer], [.. states.Select(state => (nint)((RawRecurrentState)state).Layer(layer))]);
    }

    /// <summary>Gets the form of a layer's sums.</summary>
    public SlidingSumsForm Form(int layer) => _forms[layer];

    /// <summary>Gets where a layer's sums lie, while this object lives.</summary>
    public byte* Layer(int layer)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        return _memory + _offsets[layer];
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        NativeMemory.Clear(Layer(0), (nuint)_bytes);
    }

    /// <inheritdoc/>
    public override RecurrentState Clone()
    {
        var copy = new RawRecurrentState(_config) { Position = Position };
        Buffer.MemoryCopy(Layer(0), copy._memory, _bytes, _bytes);
        return copy;
    }

    /// <inheritdoc/>
    public override void Write(BinaryWriter writer)
    {
        base.Write(writer);
        ForEachHead((form, head) =>
        {
            writer.Write(*(int*)head);
            ForEachRow(form, head, (row, bytes) => writer.Write(new ReadOnlySpan<byte>(row, bytes)));
        });
    }

    /// <inheritdoc/>
    public override void Read(BinaryReader reader)
    {
        base.Read(reader);
        ForEachHead((form, head) =>
        {
            int place = reader.ReadInt32();
            if (place < 0 || place > form.Window)
                throw new FormatException($"The state's place in a window of {form.Window} tokens must be between 0 and that, but it is {place}.");
            *(int*)head = place;
            ForEachRow(form, head, (row, bytes) => reader.BaseStream.ReadExactly(new Span<byte>(row, bytes)));
        });
    }

    public override void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private delegate void HeadAction(SlidingSumsForm form, byte* head);

    private delegate void RowAction(byte* row, int bytes);

    private void ForEachHead(HeadAction action)
    {
        for (int l = 0; l < _forms.Length; l++)
        {
            for (int h = 0; h < _config.HeadCount; h++)
                action(_forms[l], Layer(l) + h * _forms[l].Bytes);
        }

        GC.KeepAlive(this);
    }

    // Without the zeros that fill rows up: how many those are, depends on the processor.
    private void ForEachRow(SlidingSumsForm form, byte* head, RowAction action)
    {
        double* prefix = (double*)(head + SlidingSumsForm.PrefixOffset);
        action((byte*)prefix, _config.HeadSize * sizeof(double));
        action((byte*)(prefix + form.RowSize), sizeof(double));
        if (form.IsGlobal)
            return;

        float* rows = (float*)(head + form.RowsOffset);
        for (int i = 0; i < form.Window; i++)
            action((byte*)(rows + (long)i * form.RowSize), _config.HeadSize * sizeof(float));
        action(head + form.NumbersOffset, form.Window * sizeof(float));
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
