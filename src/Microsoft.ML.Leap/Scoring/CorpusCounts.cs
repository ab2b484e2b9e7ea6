using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Counts the documents, words and bytes of a corpus as it is read.</summary>
internal sealed class CorpusCounts(WordCountRule rule)
{
    public long Documents { get; private set; }

    public long Words { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>Counts a text; it is a document if it gave tokens.</summary>
    public void Add(ReadOnlySpan<char> text, int tokenCount)
    {
        Documents += tokenCount > 0 ? 1 : 0;
        Words += WordCounter.Count(text, rule);
        Bytes += Encoding.UTF8.GetByteCount(text);
    }
}
