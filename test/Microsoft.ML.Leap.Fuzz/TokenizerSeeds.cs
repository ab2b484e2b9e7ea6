using System.Globalization;
using System.Text;
using static Microsoft.ML.Leap.Fuzz.ProtocolBuffers;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The least files of each kind of tokenizer.</summary>
internal static class TokenizerSeeds
{
    private static readonly string[] _pieces = ["\u2581", "\u2581the", "\u2581cat", "a", "t", "s", "at", "th", "he", "e"];

    /// <summary>Gets the files of all kinds, without settings.</summary>
    public static Dictionary<string, byte[]> Files { get; } = new()
    {
        [BytePairFiles.VocabularyName] = BytePair()[BytePairFiles.VocabularyName],
        [BytePairFiles.MergesName] = BytePair()[BytePairFiles.MergesName],
        ["cl100k_base.tiktoken"] = Ranks(),
        [SentencePieceLeapTokenizer.ModelName] = SentencePiece(isBytePair: false, Charsmap()),
    };

    /// <summary>Writes this package's settings of a kind.</summary>
    public static byte[] Settings(string kind)
    {
        var settings = new TokenizerSettings(kind, kind == TokenizerSettings.SentencePiece ? 2 : 256)
        {
            SpecialLiterals = new Dictionary<string, int>
            {
                [kind == TokenizerSettings.SentencePiece ? "<unk>" : BytePairVocabulary.EndOfText] = kind switch
                {
                    TokenizerSettings.SentencePiece => 0,
                    TokenizerSettings.Tiktoken => 100257,
                    _ => 256,
                }
            },
            SentinelCount = kind == TokenizerSettings.SentencePiece ? 3 : 0,
            EncodingName = kind == TokenizerSettings.Tiktoken ? "cl100k_base" : null,
        };
        using var stream = new MemoryStream();
        settings.Write(stream, BytePairVocabulary.EndOfText);
        return stream.ToArray();
    }

    /// <summary>Learns a byte-level BPE of few merges.</summary>
    public static Dictionary<string, byte[]> BytePair()
    {
        var target = new MemoryTarget();
        TokenizerOptions.ByteLevelBpe(264).Create([SeedModel.Text.AsMemory()], CancellationToken.None).Save(target.Write);
        return target.Files;
    }

    /// <summary>Writes tiktoken data: the bytes, and a few pairs.</summary>
    public static byte[] Ranks()
    {
        var text = new StringBuilder();
        int rank = 0;
        foreach (byte[] token in Enumerable.Range(0, 256).Select(value => (byte[])[(byte)value]).Concat(["th"u8.ToArray(), "the"u8.ToArray(), " c"u8.ToArray()]))
            text.Append(Convert.ToBase64String(token)).Append(' ').Append((rank++).ToString(CultureInfo.InvariantCulture)).Append('\n');
        return Encoding.ASCII.GetBytes(text.ToString());
    }

    /// <summary>Writes a SentencePiece model: unknown 0, begin 1, end 2, then pieces.</summary>
    public static byte[] SentencePiece(bool isBytePair, byte[] charsmap, bool useBytes = false)
    {
        var file = new MemoryStream();
        WriteField(file, 1, WritePiece("<unk>", 0, type: 2));
        WriteField(file, 1, WritePiece("<s>", 0, type: 3));
        WriteField(file, 1, WritePiece("</s>", 0, type: 3));
        if (useBytes)
        {
            for (int value = 0; value < 256; value++)
                WriteField(file, 1, WritePiece($"<0x{value:X2}>", 0, type: 6));
        }

        for (int i = 0; i < _pieces.Length; i++)
            WriteField(file, 1, WritePiece(_pieces[i], -1 - i, type: 1));

        var trainer = new MemoryStream();
        WriteNumber(trainer, 3, isBytePair ? 2 : 1);
        WriteNumber(trainer, 35, useBytes ? 1 : 0);
        WriteNumber(trainer, 40, 0);
        WriteNumber(trainer, 41, 1);
        WriteNumber(trainer, 42, 2);
        WriteNumber(trainer, 43, -1);
        WriteField(file, 2, trainer.ToArray());

        var normalizer = new MemoryStream();
        WriteField(normalizer, 1, "nmt_nfkc"u8.ToArray());
        WriteField(normalizer, 2, charsmap);
        WriteNumber(normalizer, 3, 1);
        WriteNumber(normalizer, 4, 1);
        WriteNumber(normalizer, 5, 1);
        WriteField(file, 3, normalizer.ToArray());
        return file.ToArray();
    }

    /// <summary>Writes rules that make T of t: the length of a double-array trie, the trie, and the texts that its leaves name.</summary>
    public static byte[] Charsmap()
    {
        // A unit has a label in its low byte, whether it has a leaf in bit 8, and from bit 10 on the offset to its children. The root's are 256
        // further on, and the leaf of 'T' is beside it.
        uint[] units = new uint[512];
        units[0] = 256 << 10;
        units[256 ^ 'T'] = (1 << 10) | (1 << 8) | 'T';
        units[256 ^ 'T' ^ 1] = 0x80000000;
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(units.Length * sizeof(uint));
        foreach (uint unit in units)
            writer.Write(unit);
        writer.Write("t\0"u8);
        return stream.ToArray();
    }
}

/// <summary>Writes the protocol buffers that SentencePiece models are.</summary>
internal static class ProtocolBuffers
{
    public static byte[] WritePiece(string text, float score, int type)
    {
        var piece = new MemoryStream();
        WriteField(piece, 1, Encoding.UTF8.GetBytes(text));
        WriteVarint(piece, (2 << 3) | 5);
        piece.Write(BitConverter.GetBytes(score));
        WriteNumber(piece, 3, type);
        return piece.ToArray();
    }

    public static void WriteField(MemoryStream stream, int field, byte[] content)
    {
        WriteVarint(stream, (ulong)(field << 3) | 2);
        WriteVarint(stream, (ulong)content.Length);
        stream.Write(content);
    }

    public static void WriteNumber(MemoryStream stream, int field, int value)
    {
        WriteVarint(stream, (ulong)(field << 3));
        WriteVarint(stream, (ulong)value);
    }

    private static void WriteVarint(MemoryStream stream, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            stream.WriteByte((byte)(value | 0x80));
        stream.WriteByte((byte)value);
    }
}
