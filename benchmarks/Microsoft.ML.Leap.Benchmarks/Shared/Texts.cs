using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Reads text in UTF-8, unpacked where the file's name ends with .gz.</summary>
internal static class TextFile
{
    public static string ReadAll(string path)
    {
        using StreamReader reader = Open(path);
        return reader.ReadToEnd();
    }

    /// <summary>Reads the lines. They end at LF alone: a CR belongs to its line.</summary>
    public static IEnumerable<string> ReadLines(string path)
    {
        using StreamReader reader = Open(path);
        var line = new StringBuilder();
        char[] buffer = new char[1 << 16];
        int count;
        while ((count = reader.Read(buffer, 0, buffer.Length)) > 0)
        {
            int start = 0;
            int lineBreak;
            while ((lineBreak = Array.IndexOf(buffer, '\n', start, count - start)) >= 0)
            {
                yield return line.Append(buffer, start, lineBreak - start).ToString();
                line.Clear();
                start = lineBreak + 1;
            }

            line.Append(buffer, start, count - start);
        }

        if (line.Length > 0)
            yield return line.ToString();
    }

    private static StreamReader Open(string path)
    {
        Stream stream = File.OpenRead(path);
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            stream = new GZipStream(stream, CompressionMode.Decompress);
        return new StreamReader(stream, new UTF8Encoding(false), detectEncodingFromByteOrderMarks: false);
    }
}

/// <summary>Made-up words, and rows of them of any number of tokens.</summary>
internal sealed class ScoringTexts
{
    private const string Consonants = "bdfgklmnprstvz";
    private const string Vowels = "aeiou";

    private readonly Random _random = new(1);
    private readonly string[] _words;

    /// <param name="wordCount">Distinct words, each preceded by a space.</param>
    public ScoringTexts(int wordCount)
    {
        var words = new HashSet<string>(StringComparer.Ordinal);
        while (words.Count < wordCount)
            words.Add($" {Syllable()}{Syllable()}{Syllable()}");
        _words = [.. words];
    }

    /// <summary>Texts to learn a tokenizer from, in which frequent words become single tokens.</summary>
    public IEnumerable<string> Corpus(int textCount, int wordsPerText) =>
        Enumerable.Range(0, textCount).Select(_ => string.Concat(Enumerable.Range(0, wordsPerText).Select(_ => FrequentWord())));

    /// <summary>Makes rows of exactly so many tokens.</summary>
    public string[] Rows(LeapTokenizer tokenizer, int count, int tokens)
    {
        string[] single = [.. _words.Where(word => tokenizer.Encode(word).Count == 1)];
        if (single.Length == 0)
            throw new InvalidOperationException("The tokenizer has no word as a token; use a larger vocabulary.");
        return [.. Enumerable.Range(0, count).Select(_ =>
            string.Concat(Enumerable.Range(0, tokens).Select(_ => single[_random.Next(single.Length)])))];
    }

    // Word i is about 1 / i as frequent as the first, as in natural languages.
    private string FrequentWord() => _words[(int)Math.Pow(_words.Length, _random.NextDouble()) - 1];

    private string Syllable() => $"{Consonants[_random.Next(Consonants.Length)]}{Vowels[_random.Next(Vowels.Length)]}";
}
