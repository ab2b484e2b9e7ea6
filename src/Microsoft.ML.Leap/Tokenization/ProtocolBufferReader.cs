namespace Microsoft.ML.Leap;

/// <summary>Walks over the fields of a protocol buffer message, and never past its end.</summary>
internal ref struct ProtocolBufferReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;
    private int _wireType;

    public bool TryReadField(out int field)
    {
        field = 0;
        if (_rest.IsEmpty)
            return false;

        ulong tag = ReadVarint();
        _wireType = (int)(tag & 7);
        field = tag >> 3 is > 0 and < 1 << 29 ? (int)(tag >> 3) : throw Damaged();
        return true;
    }

    public int ReadInt32() => _wireType == 0 ? (int)ReadVarint() : throw Damaged();

    public ReadOnlySpan<byte> ReadBytes()
    {
        ulong length = _wireType == 2 ? ReadVarint() : throw Damaged();
        return Take(length);
    }

    public ProtocolBufferReader ReadMessage() => new(ReadBytes());

    public void SkipValue()
    {
        switch (_wireType)
        {
            case 0: ReadVarint(); break;
            case 1: Take(8); break;
            case 2: ReadBytes(); break;
            case 5: Take(4); break;
            default: throw Damaged();
        }
    }

    private static FormatException Damaged() => new("The SentencePiece model is damaged or cut off.");

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
            throw Damaged();
        ReadOnlySpan<byte> taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }

    private ulong ReadVarint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }

        throw Damaged();
    }
}
