using System.Collections.Concurrent;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Splits words into tokens by applying merges, the lowest rank first, the leftmost of equals first.</summary>
/// <remarks>A queue of candidates keeps the cost of a word of n bytes at n log n, however long it is. Thread-safe.</remarks>
internal sealed class BytePairEncoder(BytePairVocabulary vocabulary)
{
    // Real text repeats its words: what was split once is remembered, within bounds.
    private const int CachedWordLength = 48;
    private const int CachedWords = 1 << 16;

    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);
    private int _cachedCount;

    public void EncodeWord(ReadOnlySpan<char> word, List<int> ids)
    {
        if (_cache.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out int[]? known))
        {
            ids.AddRange(known);
            return;
        }

        int[] tokens = Merge(word);
        ids.AddRange(tokens);
        if (word.Length <= CachedWordLength && _cachedCount < CachedWords && _cache.TryAdd(word.ToString(), tokens))
            Interlocked.Increment(ref _cachedCount);
    }

    private int[] Merge(ReadOnlySpan<char> word)
    {
        int[] symbols = GetByteIds(word);
        int[] next = new int[symbols.Length];
        int[] previous = new int[symbols.Length];
        var candidates = new PriorityQueue<(int Position, int Left, int Right, int Id), (int Rank, int Position)>();
        for (int i = 0; i < symbols.Length; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
            AddCandidate(i, i + 1);
        }

        while (candidates.TryDequeue(out var candidate, out _))
        {
            int position = candidate.Position;
            int right = next[position];
            if (symbols[position] != candidate.Left || right >= symbols.Length || symbols[right] != candidate.Right)
                continue;

            symbols[position] = candidate.Id;
            symbols[right] = -1;
            next[position] = next[right];
            if (next[position] < symbols.Length)
                previous[next[position]] = position;
            if (previous[position] >= 0)
                AddCandidate(previous[position], position);
            AddCandidate(position, next[position]);
        }

        return Array.FindAll(symbols, s => s >= 0);

        void AddCandidate(int left, int right)
        {
            if (right < symbols.Length && vocabulary.TryGetMerge(symbols[left], symbols[right], out (int Rank, int Id) merge))
                candidates.Enqueue((left, symbols[left], symbols[right], merge.Id), (merge.Rank, left));
        }
    }

    private int[] GetByteIds(ReadOnlySpan<char> word)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(word)];
        Encoding.UTF8.GetBytes(word, bytes);
        return Array.ConvertAll(bytes, vocabulary.GetByteId);
    }
}
