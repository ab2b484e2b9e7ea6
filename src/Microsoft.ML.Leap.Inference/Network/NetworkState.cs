using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>All that a LEAP network remembers of the tokens it has read: the sums over each layer's window, and the last rows that its short
/// convolutions saw. Its size does not depend on how many tokens they were. Not thread-safe.</summary>
/// <remarks>Each layer's heads lie one after another, each as a <see cref="SlidingSumsLayout"/>; after them all the rows of each convolution, the
/// oldest first.</remarks>
internal sealed unsafe class NetworkState : IDisposable
{
    private readonly LeapConfig _config;
    private readonly SlidingSumsLayout[] _layouts;
    private readonly long[] _offsets;
    private readonly long _convolutionsOffset;
    private readonly int _valuesPerConvolution;
    private byte* _memory;

    /// <summary>Makes the state before the first token.</summary>
    public NetworkState(LeapConfig config)
    {
        _config = config;
        _layouts = [.. Enumerable.Range(0, config.LayerCount).Select(l => GetLayout(config, l))];
        _offsets = new long[_layouts.Length];
        for (int l = 0; l < _layouts.Length; l++)
        {
            _offsets[l] = SizeInBytes;
            SizeInBytes += _layouts[l].Bytes * config.HeadCount;
        }

        _convolutionsOffset = SizeInBytes;
        _valuesPerConvolution = Math.Max(0, config.ConvolutionSize - 1) * config.HiddenSize;
        SizeInBytes += 2L * config.LayerCount * _valuesPerConvolution * sizeof(float);

        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)SizeInBytes, 64);
        NativeMemory.Clear(_memory, (nuint)SizeInBytes);
    }

    ~NetworkState() => Free();

    /// <summary>Gets or sets the position of the next token.</summary>
    public long Position { get; set; }

    /// <summary>Gets the bytes that it takes.</summary>
    public long SizeInBytes { get; }

    /// <summary>Gives the window of a layer, and 0 for one that is global.</summary>
    public static int GetWindow(LeapConfig config, int layer) =>
        config.WindowSizes[layer] < config.ContextLength ? config.WindowSizes[layer] : 0;

    /// <summary>Gives the layout of the sums of each of a layer's heads.</summary>
    public static SlidingSumsLayout GetLayout(LeapConfig config, int layer) =>
        new(GetWindow(config, layer), SlidingSumsLayout.GetRowSize(config.HeadSize));

    /// <summary>Gives where the sums of a layer's head lie, while this object lives.</summary>
    public byte* GetSums(int layer, int head)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        return _memory + _offsets[layer] + head * _layouts[layer].Bytes;
    }

    /// <summary>Gives where the rows that a convolution saw last lie, [size - 1, d], the oldest first, while this object lives.</summary>
    public float* GetConvolutionRows(int convolution)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        return (float*)(_memory + _convolutionsOffset) + (long)convolution * _valuesPerConvolution;
    }

    /// <summary>Forgets all tokens.</summary>
    public void Reset()
    {
        NativeMemory.Clear(GetSums(0, 0), (nuint)SizeInBytes);
        Position = 0;
    }

    /// <summary>Makes a state of its own that has read the same tokens.</summary>
    public NetworkState Clone()
    {
        var copy = new NetworkState(_config) { Position = Position };
        Buffer.MemoryCopy(GetSums(0, 0), copy._memory, SizeInBytes, SizeInBytes);
        GC.KeepAlive(this);
        return copy;
    }

    /// <summary>Tells whether a network of a shape can go on from this state.</summary>
    public bool Fits(LeapConfig config) =>
        config == _config
        || (config.HeadCount == _config.HeadCount
            && config.HeadSize == _config.HeadSize
            && config.ConvolutionSize == _config.ConvolutionSize
            && config.UseForgetGates == _config.UseForgetGates
            && config.FocusSize == _config.FocusSize
            && _layouts.AsSpan().SequenceEqual([.. Enumerable.Range(0, config.LayerCount).Select(l => GetLayout(config, l))]));

    /// <summary>Writes the state; <see cref="Read"/> of a network of the same shape takes it back.</summary>
    public void Write(BinaryWriter writer)
    {
        writer.Write(Position);
        ForEachHead((layout, head) =>
        {
            writer.Write(*(int*)head);
            ForEachRow(layout, head, (row, bytes) => writer.Write(new ReadOnlySpan<byte>(row, bytes)));
        });
        ForEachConvolution((rows, bytes) => writer.Write(new ReadOnlySpan<byte>(rows, bytes)));
    }

    /// <summary>Takes over a written state.</summary>
    /// <exception cref="FormatException">The bytes are no such state.</exception>
    /// <exception cref="EndOfStreamException">There are too few bytes.</exception>
    public void Read(BinaryReader reader)
    {
        Position = reader.ReadInt64();
        if (Position < 0)
            throw new FormatException($"The state's position must be at least 0, but it is {Position}.");
        ForEachHead((layout, head) =>
        {
            int place = reader.ReadInt32();
            if (place < 0 || place > layout.Window)
                throw new FormatException($"The state's place in a window of {layout.Window} tokens must be between 0 and that, but it is {place}.");
            *(int*)head = place;
            ForEachRow(layout, head, (row, bytes) => reader.BaseStream.ReadExactly(new Span<byte>(row, bytes)));
        });
        ForEachConvolution((rows, bytes) => reader.BaseStream.ReadExactly(new Span<byte>(rows, bytes)));
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private delegate void HeadAction(SlidingSumsLayout layout, byte* head);

    private delegate void RowAction(byte* row, int bytes);

    private void ForEachHead(HeadAction action)
    {
        for (int l = 0; l < _layouts.Length; l++)
        {
            for (int h = 0; h < _config.HeadCount; h++)
                action(_layouts[l], GetSums(l, h));
        }

        GC.KeepAlive(this);
    }

    private void ForEachConvolution(RowAction action)
    {
        for (int i = 0; i < 2 * _config.LayerCount; i++)
            action((byte*)GetConvolutionRows(i), _valuesPerConvolution * sizeof(float));
        GC.KeepAlive(this);
    }

    // Without the zeros that fill rows up: how many those are, depends on the processor.
    private void ForEachRow(SlidingSumsLayout layout, byte* head, RowAction action)
    {
        double* prefix = (double*)(head + SlidingSumsLayout.PrefixOffset);
        action((byte*)prefix, _config.HeadSize * sizeof(double));
        action((byte*)(prefix + layout.RowSize), sizeof(double));
        if (layout.IsGlobal)
            return;

        float* rows = (float*)(head + layout.RowsOffset);
        for (int i = 0; i < layout.Window; i++)
            action((byte*)(rows + (long)i * layout.RowSize), _config.HeadSize * sizeof(float));
        action(head + layout.NumbersOffset, layout.Window * sizeof(float));
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
