using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>The texts of a column, read once and kept for as long as several passes over them are needed: in memory, and beyond a limit in a
/// temporary file. Rows without text are left out.</summary>
internal sealed class TrainingTexts : IDisposable
{
    private readonly TokenStore _units;
    private readonly long[] _ends;

    private TrainingTexts(TokenStore units, long[] ends, long byteCount)
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
        // UTF-16 units are packed as ids are.
        using var builder = new TokenStoreBuilder(char.MaxValue + 1, maximumMemory, folder);
        List<long> ends = [];
        long bytes = 0;
        int[] units = [];
        foreach (ReadOnlyMemory<char> text in texts)
        {
            if (text.IsEmpty)
                continue;
            if (units.Length < text.Length)
                units = new int[Math.Max(text.Length, 2 * units.Length)];
            for (int i = 0; i < text.Length; i++)
                units[i] = text.Span[i];
            builder.Append(units.AsSpan(0, text.Length));
            ends.Add(builder.Count);
            bytes += Encoding.UTF8.GetByteCount(text.Span);
        }

        return new TrainingTexts(builder.Build(), [.. ends], bytes);
    }

    /// <summary>Gives the texts in their order, one at a time.</summary>
    public IEnumerable<ReadOnlyMemory<char>> Enumerate(CancellationToken cancellationToken)
    {
        int[] units = [];
        long start = 0;
        foreach (long end in _ends)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int length = (int)(end - start);
            if (units.Length < length)
                units = new int[Math.Max(length, 2 * units.Length)];
            _units.Read(start, units.AsSpan(0, length));
            char[] text = new char[length];
            for (int i = 0; i < length; i++)
                text[i] = (char)units[i];
            yield return text;
            start = end;
        }
    }

    public void Dispose() => _units.Dispose();
}
