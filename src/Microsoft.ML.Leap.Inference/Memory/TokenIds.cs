namespace Microsoft.ML.Leap;

/// <summary>Token ids, in 16 bits each where that is enough. Immutable once they are filled, and then thread-safe.</summary>
internal readonly struct TokenIds
{
    private readonly short[]? _narrow;
    private readonly int[]? _wide;

    /// <summary>Makes room for ids.</summary>
    /// <param name="count">How many there will be.</param>
    /// <param name="isNarrow">Whether 16 bits are enough for each.</param>
    public TokenIds(int count, bool isNarrow)
    {
        _narrow = isNarrow ? new short[count] : null;
        _wide = isNarrow ? null : new int[count];
    }

    /// <summary>Copies ids.</summary>
    public TokenIds(ReadOnlySpan<int> ids)
        : this(ids.Length, AreNarrow(ids))
    {
        for (int i = 0; i < ids.Length; i++)
            this[i] = ids[i];
    }

    /// <summary>Gets how many there are.</summary>
    public int Length => _narrow is null ? _wide!.Length : _narrow.Length;

    /// <summary>Gets the bytes of memory that they take.</summary>
    public long SizeInBytes => _narrow is null ? (long)Length * sizeof(int) : (long)Length * sizeof(short);

    /// <summary>Gets or sets an id.</summary>
    public int this[int i]
    {
        get => _narrow is null ? _wide![i] : _narrow[i];
        set
        {
            if (_narrow is null)
                _wide![i] = value;
            else
                _narrow[i] = (short)value;
        }
    }

    /// <summary>Reads some ids from a tensor, of 16 bits where there is no room for more.</summary>
    /// <param name="start">The place of the first.</param>
    /// <param name="type">The tensor's type.</param>
    /// <param name="bytes">The ids in the tensor.</param>
    public void Read(int start, SafeTensorsType type, ReadOnlySpan<byte> bytes)
    {
        int count = bytes.Length / type.GetSize();
        if (_narrow is null)
            type.ToInt32(bytes, _wide.AsSpan(start, count));
        else
            type.ToInt16(bytes, _narrow.AsSpan(start, count));
    }

    private static bool AreNarrow(ReadOnlySpan<int> ids)
    {
        bool areNarrow = true;
        foreach (int id in ids)
            areNarrow &= id is >= short.MinValue and <= short.MaxValue;
        return areNarrow;
    }
}
