using System.Buffers;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Every UTF-8 byte is a token, its value the id; 256 ends a text; further literals follow.</summary>
internal sealed class ByteTokenizer : LeapTokenizer
{
    public const int ByteCount = 256;

    public ByteTokenizer(TokenizerSettings settings)
        : base(settings, ByteCount + 1, new SpecialLiteralSet(settings.SpecialLiterals))
    {
        if (settings.EndOfTextId != ByteCount)
        {
            throw new ArgumentException(
                $"The end-of-text id of bytes must be {ByteCount}, but it is {settings.EndOfTextId}.", nameof(settings));
        }
    }

    private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids)
    {
        int capacity = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(capacity);
        int count = Encoding.UTF8.GetBytes(text, buffer);
        ids.EnsureCapacity(ids.Count + count);
        foreach (byte value in buffer.AsSpan(0, count))
            ids.Add(value);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) =>
        id < ByteCount ? new[] { (byte)id } : Encoding.UTF8.GetBytes(BytePairVocabulary.EndOfText);

    private protected override (BytePairVocabulary Vocabulary, bool CutsWords)? GetBytePairs()
    {
        byte[][] tokens = [.. Enumerable.Range(0, ByteCount + 1).Select(id => GetPlainTokenBytes(id).ToArray())];
        return (new BytePairVocabulary(tokens, [], ByteCount), CutsWords: false);
    }

    private protected override void SaveVocabulary(Action<string, Action<Stream>> write)
    {
    }
}
