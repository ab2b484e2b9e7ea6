using System.Globalization;

namespace Leap.Tool;

/// <summary>A part of the input: the files lie one after another, and are cut into pieces of as many bytes each. A row belongs to the piece in which it
/// begins, so the pieces one after another are all rows in their order.</summary>
/// <param name="Index">Which one, from 1.</param>
/// <param name="Count">How many there are.</param>
internal sealed record Shard(int Index, int Count)
{
    /// <summary>Reads "3/16".</summary>
    /// <exception cref="UsageException">The text is no such pair.</exception>
    public static Shard Parse(string text)
    {
        string[] parts = text.Split('/');
        if (parts.Length == 2 && TryParse(parts[0], out int index) && TryParse(parts[1], out int count) && index >= 1 && index <= count)
            return new Shard(index, count);
        throw new UsageException($"--shard must be i/n with i from 1 to n, for example 3/16, but is {text}.");

        static bool TryParse(string part, out int number) => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Gives the name of this shard's file: scores.jsonl becomes scores-00003-of-00016.jsonl.</summary>
    public string NameFile(string path) => Path.Combine(
        Path.GetDirectoryName(path) ?? "",
        string.Create(CultureInfo.InvariantCulture, $"{Path.GetFileNameWithoutExtension(path)}-{Index:00000}-of-{Count:00000}{Path.GetExtension(path)}"));

    /// <summary>Gives the parts of files that belong to this shard.</summary>
    public FilePart[] Cut(IReadOnlyList<InputFile> files)
    {
        long[] sizes = [.. files.Select(file => new FileInfo(file.Path).Length)];
        long start = GetBorder(Index - 1, sizes.Sum()), end = GetBorder(Index, sizes.Sum()), offset = 0;
        List<FilePart> parts = [];
        for (int i = 0; i < files.Count; offset += sizes[i++])
        {
            long first = Math.Clamp(start - offset, 0, sizes[i]), last = Math.Clamp(end - offset, 0, sizes[i]);
            if (first < last)
                parts.Add(new FilePart(files[i], first, last));
        }

        return [.. parts];
    }

    private long GetBorder(int index, long size) => (long)((Int128)size * index / Count);
}

/// <summary>The rows of a file that begin at a byte from <paramref name="Start"/> on and before <paramref name="End"/>. What cannot be cut begins at
/// byte 0.</summary>
/// <param name="File">The file.</param>
/// <param name="Start">The first byte.</param>
/// <param name="End">The byte after the last.</param>
internal sealed record FilePart(InputFile File, long Start, long End)
{
    private const byte LineFeed = (byte)'\n';
    private const byte Quote = (byte)'"';

    /// <summary>Gets whether the file's first row is in this part.</summary>
    public bool IsFirst => Start == 0;

    /// <summary>Gets whether bytes of the file may be in other parts.</summary>
    public bool IsCut => File.IsSeekable && !(IsFirst && End == long.MaxValue);

    public static FilePart Whole(InputFile file) => new(file, 0, long.MaxValue);

    /// <summary>Opens the bytes of this part's rows; null where none begins in it.</summary>
    /// <param name="isQuoted">Whether a line may end within quotes, and a row does not end there.</param>
    public Stream? OpenRows(bool isQuoted)
    {
        if (!IsCut)
            return IsFirst ? File.Open() : null;
        Stream file = File.Open();
        long end = Math.Min(End, file.Length);
        long first = IsFirst ? 0 : FindRow(file, Start, isQuoted);
        long last = end == file.Length ? end : FindRow(file, end, isQuoted);
        if (first >= last)
        {
            file.Dispose();
            return null;
        }

        file.Position = first;
        return new FirstBytes(file, last - first);
    }

    // The first row that begins at the border or after it: behind a line feed at border - 1 or later that is in no quotes. Quotes come in pairs, those
    // that stand for a quote too, so their number up to a place tells.
    private static long FindRow(Stream file, long border, bool isQuoted)
    {
        byte[] buffer = new byte[1 << 16];
        file.Position = isQuoted ? 0 : border - 1;
        bool isInQuotes = false;
        while (true)
        {
            long offset = file.Position;
            int count = file.Read(buffer);
            if (count == 0)
                return file.Length;
            int i = 0;
            if (offset < border - 1)
            {
                i = (int)Math.Min(count, border - 1 - offset);
                isInQuotes ^= (buffer.AsSpan(0, i).Count(Quote) & 1) != 0;
            }

            for (; i < count; i++)
            {
                if (isQuoted && buffer[i] == Quote)
                    isInQuotes = !isInQuotes;
                else if (buffer[i] == LineFeed && !isInQuotes)
                    return offset + i + 1;
            }
        }
    }

    /// <summary>The next bytes of a stream, which it owns.</summary>
    private sealed class FirstBytes(Stream stream, long count) : Stream
    {
        private long _left = count;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            int read = stream.Read(buffer[..(int)Math.Min(buffer.Length, _left)]);
            _left -= read;
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                stream.Dispose();
            base.Dispose(disposing);
        }
    }
}
