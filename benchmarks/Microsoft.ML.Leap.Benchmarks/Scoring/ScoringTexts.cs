namespace Microsoft.ML.Leap.Benchmarks;

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
    public IEnumerable<string> Corpus(int textCount, int wordsAText) =>
        Enumerable.Range(0, textCount).Select(_ => string.Concat(Enumerable.Range(0, wordsAText).Select(_ => FrequentWord())));

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
