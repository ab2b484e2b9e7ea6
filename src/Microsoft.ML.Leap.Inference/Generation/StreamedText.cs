using System.Buffers;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Puts a text together from tokens as they come: whole characters only, and nothing that may turn out to be a stop string. Not
/// thread-safe.</summary>
/// <param name="tokenizer">What the tokens are of.</param>
/// <param name="stopStrings">What ends the text.</param>
/// <param name="isStart">Whether the text begins here, rather than goes on from a prompt.</param>
internal sealed class StreamedText(LeapTokenizer tokenizer, IReadOnlyList<string> stopStrings, bool isStart)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder _held = new();
    private bool _isStart = isStart;

    /// <summary>Gets whether a stop string has come up.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Adds a token and gives the text that is certain now.</summary>
    /// <param name="id">The token.</param>
    /// <param name="looksForStops">Whether a stop string may end the text with this token.</param>
    public string Add(int id, bool looksForStops)
    {
        ReadOnlySpan<byte> bytes = id == tokenizer.EndOfTextId ? [] : tokenizer.GetTokenBytes(id).Span;
        if (_isStart && !bytes.IsEmpty)
        {
            bytes = bytes[tokenizer.CountLeadingBytesToDrop(bytes)..];
            _isStart = false;
        }

        Decode(bytes, isLast: false);
        return looksForStops ? Release() : ReleaseAll();
    }

    /// <summary>Ends the text and gives the rest of it.</summary>
    public string Complete()
    {
        Decode([], isLast: true);
        return IsStopped ? string.Empty : ReleaseAll();
    }

    private void Decode(ReadOnlySpan<byte> bytes, bool isLast)
    {
        char[] characters = ArrayPool<char>.Shared.Rent(Encoding.UTF8.GetMaxCharCount(bytes.Length + 3));
        int count = _decoder.GetChars(bytes, characters, isLast);
        _held.Append(characters, 0, count);
        ArrayPool<char>.Shared.Return(characters);
    }

    private string Release()
    {
        if (stopStrings.Count == 0)
            return ReleaseAll();
        string text = _held.ToString();
        int stop = stopStrings.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(place => place >= 0).DefaultIfEmpty(-1).Min();
        IsStopped = stop >= 0;
        int certain = IsStopped ? stop : text.Length - stopStrings.Select(stop => Overlap(text, stop)).DefaultIfEmpty(0).Max();
        _held.Clear();
        if (!IsStopped)
            _held.Append(text, certain, text.Length - certain);
        return text[..certain];
    }

    private string ReleaseAll()
    {
        string text = _held.ToString();
        _held.Clear();
        return text;
    }

    // How much of the text's end may be the beginning of a stop string.
    private static int Overlap(string text, string stop)
    {
        for (int length = Math.Min(text.Length, stop.Length - 1); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                return length;
        }

        return 0;
    }
}
