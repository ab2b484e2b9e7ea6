namespace Microsoft.ML.Leap;

/// <summary>Reads the text column of a data view, as text and as one stream of token ids.</summary>
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
    /// documents leave no trace.</summary>
    public static int[] Encode(IEnumerable<ReadOnlyMemory<char>> texts, LeapTokenizer tokenizer)
    {
        List<int> ids = [tokenizer.EndOfTextId];
        foreach (ReadOnlyMemory<char> text in texts)
        {
            int start = ids.Count;
            tokenizer.EncodeDocument(text.Span, ids);
            if (ids.Count > start && ids[^1] != tokenizer.EndOfTextId)
                ids.Add(tokenizer.EndOfTextId);
        }

        return [.. ids];
    }
}
