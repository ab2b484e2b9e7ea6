using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Reads the text column of a data view, as text and as one stream of token ids in compact form.</summary>
internal static class TokenizedCorpus
{
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

    /// <summary>Encodes every document into one stream: an end-of-text id, then each document's ids and an end-of-text id. Empty
    /// documents leave no trace. One document at a time is in memory as text.</summary>
    /// <param name="texts">The documents.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="maximumMemory">Bytes of packed ids that may stay in memory; more go into a file.</param>
    /// <param name="folder">Where the file goes.</param>
    /// <returns>The stream; the caller disposes it.</returns>
    public static TokenStore Encode(IEnumerable<ReadOnlyMemory<char>> texts, LeapTokenizer tokenizer, long maximumMemory, string folder)
    {
        using var builder = new TokenStoreBuilder(tokenizer.VocabularySize, maximumMemory, folder);
        builder.Append([tokenizer.EndOfTextId]);
        List<int> ids = [];
        foreach (ReadOnlyMemory<char> text in texts)
        {
            ids.Clear();
            tokenizer.EncodeInStream(text.Span, ids);
            builder.Append(CollectionsMarshal.AsSpan(ids));
        }

        return builder.Build();
    }
}
