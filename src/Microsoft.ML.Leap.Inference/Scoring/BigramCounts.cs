using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>How often each token followed each other in the training texts: enough to say what a unigram and a bigram model would make of
/// other texts. Immutable, and therefore thread-safe.</summary>
/// <remarks>Counts the documents' tokens without the end-of-text tokens, after which a document starts.</remarks>
internal sealed class BigramCounts
{
    /// <summary>The file's name.</summary>
    public const string FileName = "bigrams.bin";

    // Bounds the size: later text changes such simple models little.
    private const long MostTokens = 4_000_000;
    private const int MaximumFileLength = 1 << 26;
    private const byte Version = 1;

    // As in the file: who only scores texts needs no more of them, and they take a seventh of the memory.
    private readonly byte[] _file;
    private readonly Lazy<NGramModel> _unigram;
    private readonly Lazy<NGramModel> _bigram;

    private BigramCounts(int vocabularySize, byte[] file)
    {
        VocabularySize = vocabularySize;
        _file = file;
        _unigram = new(() => NGramModel.FromBigrams(1, vocabularySize, Decode(file)));
        _bigram = new(() => NGramModel.FromBigrams(2, vocabularySize, Decode(file)));
    }

    /// <summary>Gets the number of token ids.</summary>
    public int VocabularySize { get; }

    /// <summary>Counts documents, or the first ones of many.</summary>
    /// <param name="documents">Their token ids.</param>
    /// <param name="tokenizer">Their tokenizer.</param>
    public static BigramCounts Count(IEnumerable<int[]> documents, LeapTokenizer tokenizer)
    {
        var counts = new Dictionary<(int Previous, int Id), int>();
        long tokens = 0;
        foreach (int[] document in documents)
        {
            if (tokens >= MostTokens)
                break;
            int previous = NGramModel.StartId;
            foreach (int id in document)
            {
                bool isEnd = id == tokenizer.EndOfTextId;
                if (!isEnd)
                    CollectionsMarshal.GetValueRefOrAddDefault(counts, (previous, id), out _)++;
                previous = isEnd ? NGramModel.StartId : id;
                tokens++;
            }
        }

        return new BigramCounts(
            tokenizer.VocabularySize,
            Encode(tokenizer.VocabularySize, [.. counts.Select(pair => (pair.Key.Previous, pair.Key.Id, pair.Value)).Order()]));
    }

    /// <summary>Gives the log-likelihoods of a document under both models, in nats, and the number of tokens that count.</summary>
    public BaselineScore Score(IReadOnlyList<int> ids, int endOfTextId)
    {
        var sum = new BaselineScore(0, 0, 0);
        for (int start = 0; start < ids.Count;)
        {
            int end = start;
            while (end < ids.Count && ids[end] != endOfTextId)
                end++;
            int[] part = [.. ids.Skip(start).Take(end - start)];
            sum += new BaselineScore(_unigram.Value.LogLikelihood(part), _bigram.Value.LogLikelihood(part), part.Length);
            start = end + 1;
        }

        return sum;
    }

    /// <summary>Writes the counts, in order, as differences of their pairs in seven bits per byte.</summary>
    public void Write(Stream stream) => stream.Write(_file);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">The file is corrupt.</exception>
    public static BigramCounts Read(Stream stream)
    {
        byte[] file = BoundedReader.ReadAll(stream, MaximumFileLength, FileName);
        var reader = new Reader(file);
        while (reader.MoveNext())
        {
        }

        return new BigramCounts(reader.VocabularySize, file);
    }

    private static byte[] Encode(int vocabularySize, (int Previous, int Id, int Count)[] counts)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(Version);
        writer.Write7BitEncodedInt(vocabularySize);
        writer.Write7BitEncodedInt(counts.Length);
        long last = 0;
        foreach ((int previous, int id, int count) in counts)
        {
            long pair = (long)(previous + 1) * vocabularySize + id;
            writer.Write7BitEncodedInt64(pair - last);
            writer.Write7BitEncodedInt(count);
            last = pair;
        }

        writer.Flush();
        return stream.ToArray();
    }

    private static IEnumerable<(int Previous, int Id, int Count)> Decode(byte[] file)
    {
        var reader = new Reader(file);
        while (reader.MoveNext())
            yield return reader.Current;
    }

    // Goes through the pairs of a file. Each model that is loaded has some ten thousand of them checked.
    private struct Reader
    {
        private readonly byte[] _file;
        private readonly int _length;
        private int _place;
        private int _read;
        private long _pair;
        private int _count;
        private long _total;

        public Reader(byte[] file)
        {
            _file = file;
            if (ReadByte() is var version && version != Version)
                throw new FormatException($"{FileName}: the counts are of version {version}, which this version of Microsoft.ML.Leap does not know.");
            long vocabularySize = ReadNumber();
            long length = ReadNumber();

            // A count takes two bytes at least.
            if (vocabularySize is < 1 or > int.MaxValue || length < 0 || length > file.Length / 2)
                throw new FormatException($"{FileName}: {length} counts of {vocabularySize} token ids cannot be in {file.Length} bytes.");
            VocabularySize = (int)vocabularySize;
            _length = (int)length;
        }

        public int VocabularySize { get; }

        public readonly (int Previous, int Id, int Count) Current => ((int)(_pair / VocabularySize) - 1, (int)(_pair % VocabularySize), _count);

        public bool MoveNext()
        {
            if (_read == _length)
                return false;
            long difference = ReadNumber();
            long count = ReadNumber();

            // The models sum counts up as int.
            if (difference < (_read == 0 ? 0 : 1) || difference > ((long)VocabularySize + 1) * VocabularySize - 1 - _pair || count < 1 || count > int.MaxValue - _total)
                throw new FormatException($"{FileName}: count {_read} is damaged.");
            _pair += difference;
            _count = (int)count;
            _total += count;
            _read++;
            return true;
        }

        private byte ReadByte() => _place < _file.Length ? _file[_place++] : throw new FormatException($"{FileName}: the file ends early.");

        // As BinaryWriter writes it: seven bits per byte, the lowest first.
        private long ReadNumber()
        {
            const int bits = 7;
            const int lastShift = 63;
            ulong number = 0;
            for (int shift = 0; shift <= lastShift; shift += bits)
            {
                byte read = ReadByte();
                if (shift == lastShift && read > 1)
                    break;
                number |= (ulong)(read & 0x7F) << shift;
                if (read < 0x80)
                    return (long)number;
            }

            throw new FormatException($"{FileName}: a number is damaged.");
        }
    }
}

/// <summary>What a unigram and a bigram model make of texts.</summary>
internal readonly record struct BaselineScore(double UnigramLogLikelihood, double BigramLogLikelihood, long TokenCount)
{
    public double UnigramPerplexity => Math.Exp(-UnigramLogLikelihood / TokenCount);

    public double BigramPerplexity => Math.Exp(-BigramLogLikelihood / TokenCount);

    public static BaselineScore operator +(BaselineScore left, BaselineScore right) => new(
        left.UnigramLogLikelihood + right.UnigramLogLikelihood, left.BigramLogLikelihood + right.BigramLogLikelihood,
        left.TokenCount + right.TokenCount);
}
