using System.Collections.Concurrent;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Byte-level BPE, learned here or GPT-2's. Lossless, since every byte is a token.</summary>
internal sealed class BytePairTokenizer : LeapTokenizer
{
    private readonly BytePairVocabulary _vocabulary;
    private readonly BytePairEncoder _encoder;

    public BytePairTokenizer(TokenizerSettings settings, BytePairVocabulary vocabulary)
        : base(settings, vocabulary.Count, new SpecialLiteralSet(settings.SpecialLiterals))
    {
        _vocabulary = vocabulary;
        _encoder = new BytePairEncoder(vocabulary);
    }

    private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids)
    {
        while (!text.IsEmpty)
        {
            int length = Gpt2PreTokenizer.GetWordLength(text);
            _encoder.EncodeWord(text[..length], ids);
            text = text[length..];
        }
    }

    private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) => _vocabulary[id];

    private protected override (BytePairVocabulary Vocabulary, bool CutsWords)? GetBytePairs() => (_vocabulary, CutsWords: true);

    private protected override void SaveVocabulary(Action<string, Action<Stream>> write)
    {
        write(BytePairFiles.VocabularyName, stream => BytePairFiles.WriteVocabulary(_vocabulary, stream));
        write(BytePairFiles.MergesName, stream => BytePairFiles.WriteMerges(_vocabulary, stream));
    }
}

/// <summary>The tokens of a byte-level BPE, and the merges that make long ones of short ones, in order of rank.</summary>
internal sealed class BytePairVocabulary
{
    public const string EndOfText = "<|endoftext|>";

    private readonly byte[][] _tokens;
    private readonly BytePairMerge[] _merges;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _ranks;
    private readonly int[] _byteIds = new int[256];

    public BytePairVocabulary(byte[][] tokens, BytePairMerge[] merges, int endOfTextId)
    {
        _tokens = tokens;
        _merges = merges;
        EndOfTextId = endOfTextId;
        _ranks = new Dictionary<(int, int), (int, int)>(merges.Length);
        for (int rank = 0; rank < merges.Length; rank++)
            _ranks.TryAdd((merges[rank].Left, merges[rank].Right), (rank, merges[rank].Id));

        Array.Fill(_byteIds, -1);
        for (int id = 0; id < tokens.Length; id++)
        {
            if (tokens[id].Length == 1)
                _byteIds[tokens[id][0]] = id;
        }

        int missing = Array.IndexOf(_byteIds, -1);
        if (missing >= 0)
            throw new FormatException($"The vocabulary has no token for the byte 0x{missing:X2}; byte-level BPE needs all 256.");
    }

    public int Count => _tokens.Length;

    public int EndOfTextId { get; }

    public IReadOnlyList<BytePairMerge> Merges => _merges;

    public ReadOnlyMemory<byte> this[int id] => _tokens[id];

    public int GetByteId(byte value) => _byteIds[value];

    public bool TryGetMerge(int left, int right, out (int Rank, int Id) merge) => _ranks.TryGetValue((left, right), out merge);

    public string GetName(int id) => ByteLevelAlphabet.Write(_tokens[id]);
}

/// <summary>Splits words into tokens by applying merges, the lowest rank first, the leftmost of equals first.</summary>
/// <remarks>A queue of candidates keeps the cost of a word of n bytes at n log n, however long it is; of a short word all pairs are looked at each time.
/// Thread-safe.</remarks>
internal sealed class BytePairEncoder(BytePairVocabulary vocabulary)
{
    // Real text repeats its words: what was split once is remembered, within bounds.
    private const int CachedWordLength = 48;
    private const int CachedWords = 1 << 16;

    // Words of so many bytes are split without a queue.
    private const int ShortWordLength = 16;

    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);
    private int _cachedCount;

    public void EncodeWord(ReadOnlySpan<char> word, List<int> ids)
    {
        if (_cache.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out int[]? known))
        {
            ids.AddRange(known);
            return;
        }

        int[] symbols = GetByteIds(word);
        int[] tokens = symbols.Length <= ShortWordLength ? MergeShort(symbols) : Merge(symbols);
        ids.AddRange(tokens);
        if (word.Length <= CachedWordLength && _cachedCount < CachedWords && _cache.TryAdd(word.ToString(), tokens))
            Interlocked.Increment(ref _cachedCount);
    }

    private int[] MergeShort(int[] symbols)
    {
        for (int count = symbols.Length; ; count--)
        {
            int place = -1;
            (int Rank, int Id) best = (int.MaxValue, 0);
            for (int i = 0; i + 1 < count; i++)
            {
                if (vocabulary.TryGetMerge(symbols[i], symbols[i + 1], out (int Rank, int Id) merge) && merge.Rank < best.Rank)
                    (place, best) = (i, merge);
            }

            if (place < 0)
                return symbols[..count];
            symbols[place] = best.Id;
            symbols.AsSpan(place + 2, count - place - 2).CopyTo(symbols.AsSpan(place + 1));
        }
    }

    private int[] Merge(int[] symbols)
    {
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
