using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>Token ids, in 16 bits each where that is enough. Immutable once they are filled, and then thread-safe.</summary>
internal readonly struct TokenIds
{
    private readonly NativeArray<short> _narrow;
    private readonly NativeArray<int> _wide;
    private readonly bool _isNarrow;

    /// <summary>Makes room for ids.</summary>
    /// <param name="count">How many there will be.</param>
    /// <param name="isNarrow">Whether 16 bits are enough for each.</param>
    public TokenIds(int count, bool isNarrow)
    {
        _isNarrow = isNarrow;
        _narrow = new NativeArray<short>(isNarrow ? count : 0);
        _wide = new NativeArray<int>(isNarrow ? 0 : count);
    }

    /// <summary>Copies ids.</summary>
    public TokenIds(ReadOnlySpan<int> ids)
        : this(ids.Length, AreNarrow(ids))
    {
        if (!_isNarrow)
        {
            ids.CopyTo(_wide.AsSpan(0, ids.Length));
            return;
        }

        for (int i = 0; i < ids.Length; i++)
            _narrow.Set(i, (short)ids[i]);
    }

    /// <summary>Gets how many there are.</summary>
    public int Length => _isNarrow ? _narrow.Length : _wide.Length;

    /// <summary>Gets the bytes of memory that they take.</summary>
    public long SizeInBytes => (long)Length * (_isNarrow ? sizeof(short) : sizeof(int));

    /// <summary>Gets an id.</summary>
    public int this[int i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _isNarrow ? _narrow[i] : _wide[i];
    }

    /// <summary>Gets the ids where they have 16 bits; else none. For as long as the caller refers to them.</summary>
    public ReadOnlySpan<short> Narrow => _narrow.AsSpan(0, _narrow.Length);

    /// <summary>Gets the ids where they have 32 bits; else none. For as long as the caller refers to them.</summary>
    public ReadOnlySpan<int> Wide => _wide.AsSpan(0, _wide.Length);

    /// <summary>Reads some ids from a tensor, of 16 bits where there is no room for more.</summary>
    /// <param name="start">The place of the first.</param>
    /// <param name="type">The tensor's type.</param>
    /// <param name="bytes">The ids in the tensor.</param>
    public void Read(int start, SafeTensorsType type, ReadOnlySpan<byte> bytes)
    {
        int count = bytes.Length / type.GetSize();
        if (_isNarrow)
            type.ToInt16(bytes, _narrow.AsSpan(start, count));
        else
            type.ToInt32(bytes, _wide.AsSpan(start, count));
    }

    private static bool AreNarrow(ReadOnlySpan<int> ids)
    {
        bool areNarrow = true;
        foreach (int id in ids)
            areNarrow &= id is >= short.MinValue and <= short.MaxValue;
        return areNarrow;
    }
}
