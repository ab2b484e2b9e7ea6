using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Learns the merges of a byte-level BPE: again and again the most frequent pair of neighbours becomes a token.</summary>
/// <remarks>Ids: 0 to 255 are the bytes, 256 ends a text, merged tokens follow. The result depends on the texts alone, not on their
/// order: of pairs as frequent, the one with the lowest ids goes first.</remarks>
internal sealed class BytePairTrainer
{
    public const int EndOfTextId = 256;
    public const int FirstMergedId = EndOfTextId + 1;

    // A pair that occurs once tells nothing about other texts.
    private const long MinimumCount = 2;

    // Text without spaces makes words as long as itself, and every merge would rewrite them whole; pairs across the cut are missed.
    private const int MaximumWordLength = 64;

    private readonly Dictionary<string, long> _wordCounts = new(StringComparer.Ordinal);
    private readonly List<BytePairTrainingWord> _words = [];
    private readonly Dictionary<(int Left, int Right), PairStatistics> _pairs = [];
    private readonly HashSet<(int Left, int Right)> _touched = [];
    private readonly List<((int Left, int Right) Pair, int Change)> _changes = [];
    private readonly PriorityQueue<(int Left, int Right), (long NegativeCount, int Left, int Right)> _queue = new();
    private readonly HashSet<(int Left, int Right)> _merged = [];
    private readonly List<byte[]> _tokens = [];
    private readonly Dictionary<string, int> _idsByName = new(StringComparer.Ordinal);

    private BytePairTrainer()
    {
        for (int value = 0; value < EndOfTextId; value++)
            AddToken([(byte)value]);
        _tokens.Add(Encoding.UTF8.GetBytes(BytePairVocabulary.EndOfText));
    }

    public static BytePairVocabulary Train(
        IEnumerable<ReadOnlyMemory<char>> texts, int vocabularySize, SpecialLiteralSet literals, CancellationToken cancellationToken)
    {
        var trainer = new BytePairTrainer();
        foreach (ReadOnlyMemory<char> text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            trainer.CountWords(text.Span, literals);
        }

        return trainer.Merge(vocabularySize, cancellationToken);
    }

    private void CountWords(ReadOnlySpan<char> text, SpecialLiteralSet literals)
    {
        while (literals.TryFindNext(text, out int position, out int length, out _))
        {
            CountWords(text[..position]);
            text = text[(position + length)..];
        }

        CountWords(text);
    }

    private void CountWords(ReadOnlySpan<char> text)
    {
        var counts = _wordCounts.GetAlternateLookup<ReadOnlySpan<char>>();
        while (!text.IsEmpty)
        {
            int length = Gpt2PreTokenizer.GetWordLength(text);
            for (ReadOnlySpan<char> word = text[..length]; !word.IsEmpty;)
            {
                int pieceLength = GetPieceLength(word);
                CollectionsMarshal.GetValueRefOrAddDefault(counts, word[..pieceLength], out _)++;
                word = word[pieceLength..];
            }

            text = text[length..];
        }
    }

    private static int GetPieceLength(ReadOnlySpan<char> word)
    {
        if (word.Length <= MaximumWordLength)
            return word.Length;
        return char.IsHighSurrogate(word[MaximumWordLength - 1]) ? MaximumWordLength - 1 : MaximumWordLength;
    }

    private BytePairVocabulary Merge(int vocabularySize, CancellationToken cancellationToken)
    {
        foreach ((string word, long count) in _wordCounts)
            AddWord(word, count);
        foreach ((int Left, int Right) pair in _touched)
            Enqueue(pair);

        var merges = new List<BytePairMerge>();
        while (_tokens.Count < vocabularySize && TryDequeueMostFrequent(out (int Left, int Right) pair))
        {
            cancellationToken.ThrowIfCancellationRequested();
            int id = AddToken([.. _tokens[pair.Left], .. _tokens[pair.Right]]);
            var merge = new BytePairMerge(pair.Left, pair.Right, id);
            if (_merged.Add(pair))
                merges.Add(merge);
            Apply(merge);
        }

        return new BytePairVocabulary([.. _tokens], [.. merges], EndOfTextId);
    }

    private void AddWord(string word, long count)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(word);
        if (bytes.Length < 2)
            return;

        _words.Add(new BytePairTrainingWord(Array.ConvertAll(bytes, b => (int)b), count));
        for (int i = 0; i + 1 < bytes.Length; i++)
            Count(_words.Count - 1, (bytes[i], bytes[i + 1]), 1);
    }

    /// <summary>Gives the id of a token, a new one unless other merges made the same bytes before.</summary>
    private int AddToken(byte[] bytes)
    {
        string name = Encoding.Latin1.GetString(bytes);
        if (_idsByName.TryGetValue(name, out int known))
            return known;
        _idsByName.Add(name, _tokens.Count);
        _tokens.Add(bytes);
        return _tokens.Count - 1;
    }

    private void Enqueue((int Left, int Right) pair)
    {
        long count = _pairs[pair].Count;
        if (count >= MinimumCount)
            _queue.Enqueue(pair, (-count, pair.Left, pair.Right));
    }

    private bool TryDequeueMostFrequent(out (int Left, int Right) pair)
    {
        while (_queue.TryDequeue(out pair, out (long NegativeCount, int Left, int Right) priority))
        {
            // Counts fell since the pair was queued; it goes back with today's count.
            long count = _pairs[pair].Count;
            if (count == -priority.NegativeCount)
                return true;
            if (count < -priority.NegativeCount)
                Enqueue(pair);
        }

        return false;
    }

    private void Apply(BytePairMerge merge)
    {
        PairStatistics merged = _pairs[(merge.Left, merge.Right)];
        List<int> wordIndexes = merged.WordIndexes;
        merged.WordIndexes = [];
        _touched.Clear();
        foreach (int index in wordIndexes)
        {
            _changes.Clear();
            _words[index].Apply(merge, _changes);
            foreach (((int Left, int Right) pair, int change) in _changes)
                Count(index, pair, change);
        }

        foreach ((int Left, int Right) pair in _touched)
            Enqueue(pair);
    }

    private void Count(int wordIndex, (int Left, int Right) pair, int change)
    {
        ref PairStatistics? statistics = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, pair, out _);
        statistics ??= new PairStatistics();
        statistics.Count += change * _words[wordIndex].Count;
        if (change < 0)
            return;

        _touched.Add(pair);
        List<int> indexes = statistics.WordIndexes;
        if (indexes.Count == 0 || indexes[^1] != wordIndex)
            indexes.Add(wordIndex);
    }

    private sealed class PairStatistics
    {
        public long Count { get; set; }

        public List<int> WordIndexes { get; set; } = [];
    }
}

/// <summary>Two neighbouring tokens that become one.</summary>
internal readonly record struct BytePairMerge(int Left, int Right, int Id);

/// <summary>A distinct word of the training text: its tokens so far, and how often it occurs.</summary>
internal sealed class BytePairTrainingWord(int[] symbols, long count)
{
    private int _length = symbols.Length;

    public long Count { get; } = count;

    /// <summary>Merges every such pair from left to right, and adds how often pairs come (1) and go (-1) in the word.</summary>
    public void Apply(BytePairMerge merge, List<((int Left, int Right) Pair, int Change)> changes)
    {
        int target = 0;
        int mergedUpTo = 0;
        for (int source = 0; source < _length; source++)
        {
            if (!IsAt(source, merge))
            {
                symbols[target++] = symbols[source];
                continue;
            }

            // A pair that merged just before has counted the neighbourhood to the left.
            int next = source + 2;
            if (source > mergedUpTo)
                changes.Add(((symbols[source - 1], merge.Left), -1));
            changes.Add(((merge.Left, merge.Right), -1));
            if (next < _length)
                changes.Add(((merge.Right, symbols[next]), -1));
            if (target > 0)
                changes.Add(((symbols[target - 1], merge.Id), 1));
            if (next < _length && !IsAt(next, merge))
                changes.Add(((merge.Id, symbols[next]), 1));

            symbols[target++] = merge.Id;
            mergedUpTo = next;
            source++;
        }

        _length = target;
    }

    private bool IsAt(int position, BytePairMerge merge) =>
        position + 1 < _length && symbols[position] == merge.Left && symbols[position + 1] == merge.Right;
}
