namespace Microsoft.ML.Leap;

/// <summary>Counts the words of texts.</summary>
internal static class WordCounter
{
    /// <summary>Counts the words of a text; an empty text has none.</summary>
    public static long Count(ReadOnlySpan<char> text, WordCountRule rule) =>
        rule == WordCountRule.PythonSplit ? CountPieces(text) : CountWords(text);

    private static long CountWords(ReadOnlySpan<char> text)
    {
        long words = 0;
        bool inWord = false;
        foreach (char unit in text)
        {
            bool isSpace = char.IsWhiteSpace(unit);
            if (!isSpace && !inWord)
                words++;
            inWord = !isSpace;
        }

        return words;
    }

    private static long CountPieces(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return 0;
        long pieces = 1;
        bool inSpace = false;
        foreach (char unit in text)
        {
            bool isSpace = IsPythonSpace(unit);
            if (isSpace && !inSpace)
                pieces++;
            inSpace = isSpace;
        }

        return pieces;
    }

    // Python counts the four separators of ASCII as white space too.
    private static bool IsPythonSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';
}
