using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Documents as one stream of token ids in compact form: an end-of-text id, then each document's ids and an end-of-text id.</summary>
internal sealed class TokenizedCorpus : IDisposable
{
    private readonly long[] _ends;

    private TokenizedCorpus(TokenStore ids, long[] ends)
    {
        Ids = ids;
        _ends = ends;
    }

    /// <summary>Gets the stream.</summary>
    public TokenStore Ids { get; }

    /// <summary>Gets the number of documents that have a token.</summary>
    public int DocumentCount => _ends.Length;

    /// <summary>Gives the place of the end-of-text id before a document, and the number of ids after it up to the document's own
    /// end-of-text id, which counts.</summary>
    public (long Start, long Length) Document(int index)
    {
        long start = index == 0 ? 0 : _ends[index - 1];
        return (start, _ends[index] - start);
    }

    /// <summary>Reads the ids of a document, the end-of-text id after it included.</summary>
    public int[] Read(int index)
    {
        (long start, long length) = Document(index);
        int[] ids = new int[length];
        Ids.Read(start + 1, ids);
        return ids;
    }

    /// <summary>Gets the ids of all documents, one after another.</summary>
    public IEnumerable<int[]> Documents => Enumerable.Range(0, DocumentCount).Select(Read);

    /// <summary>The texts of a column in the view's order; missing ones are empty.</summary>
    public static IEnumerable<ReadOnlyMemory<char>> Texts(IDataView data, string columnName, CancellationToken cancellationToken)
    {
        DataViewSchema.Column column = data.Schema[columnName];
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<ReadOnlyMemory<char>> getter = cursor.GetGetter<ReadOnlyMemory<char>>(column);
        ReadOnlyMemory<char> text = default;
        while (cursor.MoveNext())
        {
            cancellationToken.ThrowIfCancellationRequested();
            getter(ref text);
            yield return text;
        }
    }

    /// <summary>Encodes every document. Empty ones leave no trace. One document at a time is in memory as text.</summary>
    /// <param name="texts">The documents.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="maximumMemory">Bytes of packed ids that may stay in memory; more go into a file.</param>
    /// <param name="folder">Where the file goes.</param>
    /// <returns>The corpus; the caller disposes it.</returns>
    public static TokenizedCorpus Encode(
        IEnumerable<ReadOnlyMemory<char>> texts, LeapTokenizer tokenizer, long maximumMemory, string folder)
    {
        using var builder = new TokenStoreBuilder(tokenizer.VocabularySize, maximumMemory, folder);
        builder.Append([tokenizer.EndOfTextId]);
        List<int> ids = [];
        List<long> ends = [];
        foreach (ReadOnlyMemory<char> text in texts)
        {
            ids.Clear();
            tokenizer.EncodeInStream(text.Span, ids);
            if (ids.Count == 0)
                continue;
            builder.Append(CollectionsMarshal.AsSpan(ids));
            ends.Add(builder.Count - 1);
        }

        return new TokenizedCorpus(builder.Build(), [.. ends]);
    }

    public void Dispose() => Ids.Dispose();
}

/// <summary>Sets a part of the documents aside for validation, drawn by a seed.</summary>
internal sealed class DocumentSplit
{
    private readonly bool[] _isValidation;

    /// <param name="count">The documents; at least 2.</param>
    /// <param name="fraction">The part set aside, over 0 and below 1; at least one document, and never all.</param>
    /// <param name="seed">Decides which.</param>
    public DocumentSplit(int count, double fraction, int seed)
    {
        int wanted = Math.Clamp((int)Math.Round(count * fraction), 1, count - 1);
        _isValidation = new bool[count];
        foreach (int document in RandomSeed.Order(seed, epoch: long.MaxValue, count).AsSpan(0, wanted))
            _isValidation[document] = true;
    }

    public IEnumerable<T> Select<T>(IEnumerable<T> documents, bool validation) =>
        documents.Where((_, i) => _isValidation[i] == validation);
}

/// <summary>The texts of a column, read once and kept for as long as several passes over them are needed: in memory, and beyond a limit in a
/// temporary file. Rows without text are left out.</summary>
internal sealed class TrainingTexts : IDisposable
{
    private readonly ByteStore _units;
    private readonly long[] _ends;

    private TrainingTexts(ByteStore units, long[] ends, long byteCount)
    {
        _units = units;
        _ends = ends;
        ByteCount = byteCount;
    }

    /// <summary>Gets the number of texts.</summary>
    public int Count => _ends.Length;

    /// <summary>Gets their bytes in UTF-8.</summary>
    public long ByteCount { get; }

    /// <summary>Reads the texts.</summary>
    /// <param name="texts">The texts, some of them empty.</param>
    /// <param name="maximumMemory">Bytes that may stay in memory, two per UTF-16 unit; more go into a file.</param>
    /// <param name="folder">Where the file goes.</param>
    public static TrainingTexts Read(IEnumerable<ReadOnlyMemory<char>> texts, long maximumMemory, string folder)
    {
        using var builder = new ByteStoreBuilder(maximumMemory, folder);
        List<long> ends = [];
        long bytes = 0;
        foreach (ReadOnlyMemory<char> text in texts)
        {
            if (text.IsEmpty)
                continue;
            builder.Append(MemoryMarshal.AsBytes(text.Span));
            ends.Add(builder.Length / sizeof(char));
            bytes += Encoding.UTF8.GetByteCount(text.Span);
        }

        return new TrainingTexts(builder.Build(), [.. ends], bytes);
    }

    /// <summary>Gives the texts in their order, one at a time.</summary>
    public IEnumerable<ReadOnlyMemory<char>> Enumerate(CancellationToken cancellationToken)
    {
        long start = 0;
        foreach (long end in _ends)
        {
            cancellationToken.ThrowIfCancellationRequested();
            char[] text = new char[end - start];
            _units.Read(start * sizeof(char), MemoryMarshal.AsBytes(text.AsSpan()));
            yield return text;
            start = end;
        }
    }

    public void Dispose() => _units.Dispose();
}
