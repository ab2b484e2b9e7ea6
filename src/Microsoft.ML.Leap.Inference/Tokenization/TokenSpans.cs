using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Finds which part of a text each of its tokens stands for.</summary>
internal static class TokenSpans
{
    // How far an unchanged token may lie behind tokens that the tokenizer changed.
    private const int Lookahead = 64;

    /// <summary>Gives the span of each token in UTF-16 units. Spans do not overlap and are in order.</summary>
    /// <remarks>Where the tokens' bytes are the text's, the spans cover all of it, and a character that several tokens share belongs to the
    /// one that begins it. Where the tokenizer normalises, spans are found by matching the tokens' texts: tokens that occur literally have
    /// exact spans, and of a run of those that do not, the first gets all that lies between.</remarks>
    public static (int Start, int Length)[] Find(LeapTokenizer tokenizer, string text, IReadOnlyList<int> ids)
    {
        int[] starts = ByteStarts(text);
        int[] ends = new int[ids.Count];
        int total = 0;
        for (int i = 0; i < ids.Count; i++)
            ends[i] = total += tokenizer.GetTokenBytes(ids[i]).Length;

        // As many bytes in all, and tokens of a tokenizer that keeps them: what is decoded is what was encoded.
        bool isExact = total == starts.Length && tokenizer.Decode(ids, skipEndOfText: false) == WithoutLoneSurrogates(text);
        return isExact ? Exact(starts, ends, text.Length) : Matched(tokenizer, text, ids);
    }

    private static (int Start, int Length)[] Exact(int[] starts, int[] ends, int textLength)
    {
        var spans = new (int Start, int Length)[ends.Length];
        int start = 0;
        for (int i = 0; i < ends.Length; i++)
        {
            // The next token begins at this byte, or, if that is within a character, at the next character.
            int next = ends[i];
            while (next < starts.Length && starts[next] < 0)
                next++;
            int end = next < starts.Length ? starts[next] : textLength;
            spans[i] = (start, end - start);
            start = end;
        }

        return spans;
    }

    private static (int Start, int Length)[] Matched(LeapTokenizer tokenizer, string text, IReadOnlyList<int> ids)
    {
        var spans = new (int Start, int Length)[ids.Count];
        int position = 0;
        int firstPending = 0;
        for (int i = 0; i < ids.Count; i++)
        {
            string word = tokenizer.GetTokenText(ids[i]).Trim();
            int length = Math.Min(text.Length - position, word.Length + (i > firstPending ? Lookahead : CountSpaces(text, position)));
            int found = word.Length == 0 ? -1 : text.AsSpan(position, Math.Max(0, length)).IndexOf(word, StringComparison.Ordinal);
            if (found < 0)
                continue;

            // Spaces before the word are its own, unless tokens without a match claim what lies before.
            int start = i > firstPending ? position + found : position;
            FillPending(spans, firstPending, i, position, start);
            position += found + word.Length;
            spans[i] = (start, position - start);
            firstPending = i + 1;
        }

        FillPending(spans, firstPending, ids.Count, position, text.Length);
        return spans;
    }

    private static void FillPending((int Start, int Length)[] spans, int first, int end, int from, int to)
    {
        for (int i = first; i < end; i++)
            spans[i] = i == first ? (from, to - from) : (to, 0);
    }

    private static int CountSpaces(string text, int position)
    {
        int end = position;
        while (end < text.Length && char.IsWhiteSpace(text[end]))
            end++;
        return end - position;
    }

    // For each byte of the text in UTF-8, the index of the character that begins there, or -1 within one.
    private static int[] ByteStarts(string text)
    {
        List<int> starts = [];
        int index = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            starts.Add(index);
            for (int i = 1; i < rune.Utf8SequenceLength; i++)
                starts.Add(-1);

            // A lone surrogate is read as U+FFFD; both are one unit.
            index += rune.Utf16SequenceLength;
        }

        return [.. starts];
    }

    private static string WithoutLoneSurrogates(string text) => string.Concat(text.EnumerateRunes());
}
