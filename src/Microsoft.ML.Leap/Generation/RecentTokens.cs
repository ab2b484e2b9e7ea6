namespace Microsoft.ML.Leap;

/// <summary>The last ids of a text, as many as there is room for.</summary>
internal sealed class RecentTokens(int capacity)
{
    private readonly int[] _ids = new int[capacity];
    private long _added;

    public int Count => (int)Math.Min(_added, capacity);

    public int SizeInBytes => capacity * sizeof(int);

    public void Add(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
            _ids[_added++ % capacity] = id;
    }

    public void Clear() => _added = 0;

    public void CopyFrom(RecentTokens other)
    {
        other._ids.CopyTo(_ids, 0);
        _added = other._added;
    }

    /// <summary>Gives the last <paramref name="count"/> ids, in their order.</summary>
    public int[] Last(int count)
    {
        int[] ids = new int[count];
        for (int i = 0; i < count; i++)
            ids[i] = _ids[(_added - count + i) % capacity];
        return ids;
    }
}
