using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Leap;

/// <summary>Texts that are one token wherever they stand. Of several that match at a place the longest wins.</summary>
internal sealed class SpecialLiteralSet
{
    private readonly SearchValues<string> _search;
    private readonly KeyValuePair<string, int>[] _longestFirst;
    private readonly Dictionary<int, string> _texts = [];

    public SpecialLiteralSet(IReadOnlyDictionary<string, int> ids)
    {
        Ids = ids;
        _longestFirst = [.. ids.OrderByDescending(p => p.Key.Length).ThenBy(p => p.Key, StringComparer.Ordinal)];
        _search = SearchValues.Create([.. ids.Keys], StringComparison.Ordinal);
        foreach ((string text, int id) in _longestFirst)
        {
            if (text.Length == 0)
                throw new ArgumentException("A special literal must not be empty.", nameof(ids));
            _texts.TryAdd(id, text);
        }
    }

    public IReadOnlyDictionary<string, int> Ids { get; }

    public bool TryGetText(int id, [NotNullWhen(true)] out string? text) => _texts.TryGetValue(id, out text);

    public bool TryFindNext(ReadOnlySpan<char> text, out int position, out int length, out int id)
    {
        (position, length, id) = (-1, 0, 0);
        if (_longestFirst.Length == 0 || (position = text.IndexOfAny(_search)) < 0)
            return false;

        foreach ((string literal, int literalId) in _longestFirst)
        {
            if (!text[position..].StartsWith(literal, StringComparison.Ordinal))
                continue;
            (length, id) = (literal.Length, literalId);
            return true;
        }

        throw new InvalidOperationException("A search for special literals found none of them.");
    }

    /// <summary>Adds the ids beyond a vocabulary, which must follow it without a gap.</summary>
    public int ExtendVocabulary(int size)
    {
        foreach (int id in _texts.Keys.Order())
        {
            if (id < 0 || id > size)
            {
                throw new ArgumentException(
                    $"The special literal '{_texts[id]}' has the id {id}; expected an id of the vocabulary, or the next new one, {size}.");
            }

            size = Math.Max(size, id + 1);
        }

        return size;
    }
}
