using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>What a SentencePiece model file says of its pieces; a small reader of its protocol buffer, which checks every length.</summary>
internal sealed class SentencePieceModel
{
    private const int Unigram = 1;
    private const char WordBoundary = '\u2581';

    private readonly List<SentencePiece> _pieces = [];

    private SentencePieceModel()
    {
    }

    public int Count => _pieces.Count;

    public IReadOnlyList<SentencePiece> Pieces => _pieces;

    /// <summary>Gets whether the pieces are chosen by their scores alone, and not by merging.</summary>
    public bool IsUnigram { get; private set; } = true;

    /// <summary>Gets whether unknown characters are written as their bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    public int UnknownId { get; private set; }

    public int BeginningId { get; private set; } = 1;

    public int EndId { get; private set; } = 2;

    public int PaddingId { get; private set; } = -1;

    /// <summary>Gets the name of the rules that text is normalised by, such as <c>nmt_nfkc</c>.</summary>
    public string NormalizationName { get; private set; } = "";

    /// <summary>Gets whether this is T5's model: 32,000 pieces, padding 0, end 1, unknown 2, and no piece that begins a text.</summary>
    public bool IsT5 => (Count, PaddingId, EndId, UnknownId) == (32000, 0, 1, 2) && BeginningId < 0;

    public static SentencePieceModel Read(ReadOnlySpan<byte> file)
    {
        var model = new SentencePieceModel();
        var message = new ProtocolBufferReader(file);
        while (message.TryReadField(out int field))
        {
            if (field == 1)
                model.ReadPiece(message.ReadMessage());
            else if (field == 2)
                model.ReadTrainerSpec(message.ReadMessage());
            else if (field == 3)
                model.ReadNormalizerSpec(message.ReadMessage());
            else
                message.SkipValue();
        }

        model.Check();
        return model;
    }

    /// <summary>Gets the UTF-8 bytes of a piece's surface.</summary>
    public byte[] GetBytes(int id)
    {
        (string text, _, int type) = _pieces[id];
        return type switch
        {
            SentencePiece.Unknown => Encoding.UTF8.GetBytes(" \u2047 "),
            SentencePiece.Byte when IsByteName(text) => Convert.FromHexString(text.AsSpan(3, 2)),
            _ => Encoding.UTF8.GetBytes(text.Replace(WordBoundary, ' ')),
        };
    }

    private static bool IsByteName(string text) =>
        text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal)
            && char.IsAsciiHexDigit(text[3]) && char.IsAsciiHexDigit(text[4]);

    private void ReadPiece(ProtocolBufferReader message)
    {
        string text = "";
        float score = 0;
        int type = SentencePiece.Normal;
        while (message.TryReadField(out int field))
        {
            if (field == 1)
                text = Encoding.UTF8.GetString(message.ReadBytes());
            else if (field == 2)
                score = message.ReadSingle();
            else if (field == 3)
                type = message.ReadInt32();
            else
                message.SkipValue();
        }

        // The trie beneath ends its keys with it.
        if (text.Contains('\0'))
            throw new FormatException($"The SentencePiece model's piece {_pieces.Count} holds the character U+0000, which no piece can.");
        _pieces.Add(new SentencePiece(text, score, type));
    }

    private void ReadTrainerSpec(ProtocolBufferReader message)
    {
        while (message.TryReadField(out int field))
        {
            if (field == 3)
                IsUnigram = message.ReadInt32() == Unigram;
            else if (field == 35)
                FallsBackToBytes = message.ReadInt32() != 0;
            else if (field == 40)
                UnknownId = message.ReadInt32();
            else if (field == 41)
                BeginningId = message.ReadInt32();
            else if (field == 42)
                EndId = message.ReadInt32();
            else if (field == 43)
                PaddingId = message.ReadInt32();
            else
                message.SkipValue();
        }
    }

    private void ReadNormalizerSpec(ProtocolBufferReader message)
    {
        while (message.TryReadField(out int field))
        {
            if (field == 1)
                NormalizationName = Encoding.UTF8.GetString(message.ReadBytes());
            else if (field == 2)
                NormalizationRules.Check(message.ReadBytes());
            else
                message.SkipValue();
        }
    }

    private void Check()
    {
        if (Count == 0)
            throw new FormatException("The SentencePiece model holds no pieces.");
        if ((uint)UnknownId >= (uint)Count)
            throw new FormatException($"The SentencePiece model's unknown piece has the id {UnknownId}, but there are {Count} pieces.");
        if ((uint)EndId >= (uint)Count)
        {
            throw new FormatException(
                $"The SentencePiece model's end piece has the id {EndId}, but there are {Count} pieces; " +
                "a language model needs one to end texts.");
        }
        if (BeginningId >= Count || PaddingId >= Count)
        {
            throw new FormatException(
                $"The SentencePiece model names the control pieces {BeginningId} and {PaddingId}, but there are {Count} pieces.");
        }

        if (FallsBackToBytes)
            CheckBytes();
    }

    // The tokenizer beneath adds a byte's value to the id of the first.
    private void CheckBytes()
    {
        int first = _pieces.FindIndex(piece => piece.Text == "<0x00>");
        for (int value = 0; value <= byte.MaxValue; value++)
        {
            int id = first + value;
            if (first < 0 || id >= Count || _pieces[id].Text != $"<0x{value:X2}>")
                throw new FormatException($"The SentencePiece model writes unknown characters as bytes, but lacks <0x{value:X2}> in the order of the bytes.");
        }
    }
}

/// <summary>The compiled rules by which SentencePiece normalises texts: the length of a trie, the trie, and the texts that its values point at, each
/// ending with a zero. The trie is a double array: a node is 32 bits, its children lie where its offset and their byte lead.</summary>
/// <remarks>Source: Darts-clone's <c>DoubleArrayUnit</c>, and SentencePiece's <c>normalizer.cc</c>.</remarks>
internal static class NormalizationRules
{
    /// <summary>Walks through the whole trie, so that no text can lead out of it.</summary>
    /// <exception cref="FormatException">A child or a text lies outside.</exception>
    public static void Check(ReadOnlySpan<byte> rules)
    {
        if (rules.IsEmpty)
            return;
        uint length = rules.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(rules) : 0;
        if (length is 0 || length % 4 != 0 || length > rules.Length - 4)
            throw Damaged();

        ReadOnlySpan<uint> nodes = MemoryMarshal.Cast<byte, uint>(rules.Slice(4, (int)length));
        ReadOnlySpan<byte> texts = rules[(4 + (int)length)..];
        bool[] seen = new bool[nodes.Length];
        var open = new Stack<int>([0]);
        while (open.TryPop(out int node))
        {
            int children = node ^ (int)GetOffset(nodes[node]);
            // A node's children lie in one aligned group of 256, so the group is inside or the file is damaged.
            if (children < 0 || (children | 0xFF) >= nodes.Length)
                throw Damaged();
            if (HasText(nodes[node]) && (nodes[children] & int.MaxValue) >= texts.Length)
                throw Damaged();

            for (int value = 1; value <= byte.MaxValue; value++)
            {
                int child = children ^ value;
                if (GetByte(nodes[child]) == value && !seen[child])
                {
                    seen[child] = true;
                    open.Push(child);
                }
            }
        }
    }

    private static uint GetOffset(uint node) => (node >> 10) << (int)((node & (1 << 9)) >> 6);

    private static bool HasText(uint node) => (node & (1 << 8)) != 0;

    // A value has the highest bit, and so no byte.
    private static uint GetByte(uint node) => node & (1u << 31 | 0xFF);

    private static FormatException Damaged() => new("The SentencePiece model's rules of normalisation are damaged.");
}

/// <summary>A piece of a SentencePiece model, with its logarithmic probability.</summary>
internal readonly record struct SentencePiece(string Text, float Score, int Type)
{
    public const int Normal = 1;
    public const int Unknown = 2;
    public const int UserDefined = 4;
    public const int Byte = 6;
}

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

    public float ReadSingle() => _wireType == 5 ? BinaryPrimitives.ReadSingleLittleEndian(Take(4)) : throw Damaged();

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
