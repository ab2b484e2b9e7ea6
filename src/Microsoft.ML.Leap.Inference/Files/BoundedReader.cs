namespace Microsoft.ML.Leap;

/// <summary>Reads from streams whose claimed length is not to be trusted: memory grows only as bytes arrive, and an early
/// end or an undecodable stream is a <see cref="FormatException"/>.</summary>
internal static class BoundedReader
{
    private const int FirstBuffer = 1 << 16;

    /// <summary>Reads exactly <paramref name="count"/> bytes.</summary>
    /// <exception cref="FormatException">The stream ends before, or cannot be decompressed.</exception>
    public static byte[] ReadBytes(Stream stream, int count, string source)
    {
        byte[] buffer = new byte[Math.Min(count, FirstBuffer)];
        int filled = 0;
        while (true)
        {
            ReadExactly(stream, buffer.AsSpan(filled), source);
            filled = buffer.Length;
            if (filled == count)
                return buffer;
            Array.Resize(ref buffer, (int)Math.Min(count, filled * 2L));
        }
    }

    /// <summary>Reads a small file whole.</summary>
    /// <exception cref="FormatException">The stream is longer than <paramref name="maximum"/>, or cannot be decompressed.</exception>
    public static byte[] ReadAll(Stream stream, int maximum, string source)
    {
        using var buffer = new MemoryStream();
        byte[] chunk = new byte[Math.Min(maximum, FirstBuffer)];
        try
        {
            for (int read = stream.Read(chunk); read > 0; read = stream.Read(chunk))
            {
                if (buffer.Length + read > maximum)
                    throw new FormatException($"{source}: the file must have at most {maximum} bytes, but has more.");
                buffer.Write(chunk, 0, read);
            }
        }
        catch (InvalidDataException e)
        {
            throw Corrupt(source, e);
        }

        return buffer.ToArray();
    }

    /// <summary>Fills <paramref name="destination"/>.</summary>
    /// <exception cref="FormatException">The stream ends before, or cannot be decompressed.</exception>
    public static void ReadExactly(Stream stream, Span<byte> destination, string source)
    {
        try
        {
            stream.ReadExactly(destination);
        }
        catch (EndOfStreamException e)
        {
            throw new FormatException($"{source}: the file is truncated.", e);
        }
        catch (InvalidDataException e)
        {
            throw Corrupt(source, e);
        }
    }

    private static FormatException Corrupt(string source, InvalidDataException e) =>
        new($"{source}: the file is corrupt: {e.Message}", e);
}
