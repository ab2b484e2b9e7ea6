namespace Microsoft.ML.Leap;

/// <summary>Reads a tokenizer's files whole, and none larger than any real vocabulary.</summary>
internal static class TokenizerFiles
{
    public const int MaximumLength = 64 << 20;

    public static byte[]? TryRead(Func<string, Stream?> open, string name)
    {
        using Stream? stream = open(name);
        return stream is null ? null : ReadAll(stream, name);
    }

    public static byte[] Read(Func<string, Stream?> open, string name) =>
        TryRead(open, name) ?? throw new FormatException($"The tokenizer's file {name} is missing.");

    public static byte[] ReadAll(Stream stream, string name)
    {
        if (stream.CanSeek && stream.Length > MaximumLength)
            throw TooLong(name);

        var content = new MemoryStream();
        byte[] buffer = new byte[81920];
        int count;
        while ((count = stream.Read(buffer)) > 0)
        {
            if (content.Length + count > MaximumLength)
                throw TooLong(name);
            content.Write(buffer, 0, count);
        }

        return content.ToArray();
    }

    private static FormatException TooLong(string name) =>
        new($"The tokenizer's file {name} is larger than {MaximumLength >> 20} MiB, which no vocabulary needs; " +
            "it is damaged or of another kind.");
}
