using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Cuts text into the words that GPT-2's merges never cross: contractions, letters, numbers and other signs, each with one space
/// before it, and white space.</summary>
/// <remarks>By Unicode scalar values. A regular expression of .NET sees UTF-16 units, and takes letters beyond U+FFFF for signs.</remarks>
internal static class Gpt2PreTokenizer
{
    private enum Kind : byte
    {
        Other,
        Letter,
        Number,
        Space,
    }

    private static readonly Kind[] AsciiKinds = ClassifyAscii();

    /// <summary>Gets the length of the first word of a text that is not empty.</summary>
    public static int GetWordLength(ReadOnlySpan<char> text)
    {
        int contraction = GetContractionLength(text);
        if (contraction > 0)
            return contraction;

        int start = text[0] == ' ' && text.Length > 1 ? 1 : 0;
        Kind kind = GetKind(text[start..], out int length);
        if (kind != Kind.Space)
            return start + length + GetRunLength(text[(start + length)..], kind);

        // The last white space before a word stays with the word, or stands alone.
        int spaces = GetRunLength(text, Kind.Space);
        return spaces == text.Length || spaces == 1 ? spaces : spaces - 1;
    }

    private static int GetContractionLength(ReadOnlySpan<char> text)
    {
        if (text[0] != '\'' || text.Length < 2)
            return 0;
        if (text[1] is 's' or 't' or 'm' or 'd')
            return 2;
        return text.Length > 2 && text[1..3] is "re" or "ve" or "ll" ? 3 : 0;
    }

    private static int GetRunLength(ReadOnlySpan<char> text, Kind kind)
    {
        int position = 0;
        while (position < text.Length && GetKind(text[position..], out int length) == kind)
            position += length;
        return position;
    }

    private static Kind GetKind(ReadOnlySpan<char> text, out int length)
    {
        length = 1;
        if (text[0] < 128)
            return AsciiKinds[text[0]];
        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        return Classify(rune);
    }

    private static Kind[] ClassifyAscii()
    {
        var kinds = new Kind[128];
        for (int c = 0; c < kinds.Length; c++)
            kinds[c] = Classify(new Rune(c));
        return kinds;
    }

    private static Kind Classify(Rune rune)
    {
        if (Rune.IsWhiteSpace(rune))
            return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
