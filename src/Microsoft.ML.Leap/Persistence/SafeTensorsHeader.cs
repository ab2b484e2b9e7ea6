using System.Buffers.Binary;
using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>Reads the header of a safetensors file and proves it consistent with the file's length, so that whoever
/// allocates tensors by it takes no more memory than the file has data.</summary>
/// <remarks>The layout: the header's length in 8 bytes, little-endian; the header, a JSON object of
/// <c>name: {"dtype", "shape", "data_offsets": [begin, end]}</c> and perhaps <c>"__metadata__": {string: string}</c>; the data.
/// The data ranges must cover the rest of the file without gap or overlap.</remarks>
internal static class SafeTensorsHeader
{
    /// <summary>Bytes before the header.</summary>
    public const int PrefixLength = 8;

    /// <summary>The longest header that the format allows.</summary>
    public const long MaximumLength = 100_000_000;

    /// <summary>The key that is no tensor.</summary>
    public const string MetadataKey = "__metadata__";

    /// <summary>Reads and checks the header at the start of <paramref name="stream"/>, leaving it at the first byte of data.</summary>
    /// <returns>The tensors in the order of their data.</returns>
    /// <exception cref="FormatException">The header is malformed, or does not describe a file of this length.</exception>
    public static SafeTensorInfo[] Read(Stream stream, long streamLength, string source)
    {
        byte[] json = ReadJson(stream, streamLength, source);
        SafeTensorInfo[] tensors = [.. Parse(json, source).OrderBy(tensor => tensor.Begin).ThenBy(tensor => tensor.End)];
        RequireContiguous(tensors, streamLength - PrefixLength - json.Length, source);
        return tensors;
    }

    private static byte[] ReadJson(Stream stream, long streamLength, string source)
    {
        if (streamLength < PrefixLength)
            throw new FormatException($"{source}: a safetensors file has at least {PrefixLength} bytes, but this one has {streamLength}.");

        byte[] prefix = BoundedStream.ReadBytes(stream, PrefixLength, source);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length is 0 or > (ulong)MaximumLength)
            throw new FormatException($"{source}: the header's length must be 1 to {MaximumLength} bytes, but the file says {length}.");
        if (length > (ulong)(streamLength - PrefixLength))
        {
            throw new FormatException(
                $"{source}: the file says that its header has {length} bytes, but only {streamLength - PrefixLength} follow.");
        }

        return BoundedStream.ReadBytes(stream, (int)length, source);
    }

    private static List<SafeTensorInfo> Parse(byte[] json, string source)
    {
        try
        {
            return new SafeTensorsHeaderParser(source).Parse(json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The JSON reader reports text that is no valid Unicode as an invalid operation.
            throw new FormatException($"{source}: the header is not well-formed JSON: {e.Message}", e);
        }
    }

    private static void RequireContiguous(SafeTensorInfo[] tensors, long dataLength, string source)
    {
        long end = 0;
        foreach (SafeTensorInfo tensor in tensors)
        {
            if (tensor.Begin != end)
            {
                throw new FormatException(
                    $"{source}: the data of tensor '{tensor.Name}' must begin at {end}, where the tensor before ends, but begin at {tensor.Begin}.");
            }

            end = tensor.End;
        }

        if (end != dataLength)
            throw new FormatException($"{source}: the header promises {end} bytes of data, but {dataLength} follow it.");
    }
}
