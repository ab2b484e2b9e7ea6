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

    public static byte[] ReadAll(Stream stream, string name) => BoundedStream.ReadAll(stream, MaximumLength, name);
}
