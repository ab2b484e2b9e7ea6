using System.Buffers.Binary;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Writes tensors as a safetensors file that any reader of the format, Hugging Face's among them, accepts.</summary>
internal static class SafeTensorsWriter
{
    private const int Alignment = 8;
    private const int ChunkBytes = 1 << 22;

    /// <summary>Writes the tensors, each once, in pieces: larger element types first, then by name.</summary>
    /// <param name="stream">Where to; it need not be seekable, and stays open.</param>
    /// <param name="tensors">Names, each once, and tensors on any device, contiguous or not. They are not disposed.</param>
    /// <exception cref="ArgumentException">A name is given twice or is the format's own, or a tensor's type is not in the format.</exception>
    public static void Write(Stream stream, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        KeyValuePair<string, Tensor>[] ordered =
        [
            .. tensors
                .OrderByDescending(pair => SafeTensorsType.SizeOf(pair.Value.dtype))
                .ThenBy(pair => pair.Key, StringComparer.Ordinal),
        ];
        RequireNames(ordered);
        stream.Write(Header(ordered));
        using IDisposable noGrad = no_grad();
        foreach ((_, Tensor tensor) in ordered)
            WriteData(stream, tensor);
    }

    private static void RequireNames(KeyValuePair<string, Tensor>[] tensors)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string name, _) in tensors)
        {
            if (name == SafeTensorsHeader.MetadataKey)
                throw new ArgumentException($"A tensor cannot be named '{name}': the format keeps that name for itself.", nameof(tensors));
            if (!names.Add(name))
                throw new ArgumentException($"Two tensors are named '{name}'.", nameof(tensors));
        }
    }

    private static byte[] Header(KeyValuePair<string, Tensor>[] tensors)
    {
        using var buffer = new MemoryStream();
        buffer.Write(new byte[SafeTensorsHeader.PrefixLength]);
        using (var json = new Utf8JsonWriter(buffer))
            WriteJson(json, tensors);
        while (buffer.Length % Alignment != 0)
            buffer.WriteByte((byte)' ');

        byte[] header = buffer.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - SafeTensorsHeader.PrefixLength);
        return header;
    }

    private static void WriteJson(Utf8JsonWriter json, KeyValuePair<string, Tensor>[] tensors)
    {
        json.WriteStartObject();

        // Hugging Face's loader asks which framework a file was written for, and takes "pt" as it is.
        json.WriteStartObject(SafeTensorsHeader.MetadataKey);
        json.WriteString("format", "pt");
        json.WriteEndObject();
        long begin = 0;
        foreach ((string name, Tensor tensor) in tensors)
        {
            long end = begin + tensor.numel() * SafeTensorsType.SizeOf(tensor.dtype);
            json.WriteStartObject(name);
            json.WriteString("dtype", SafeTensorsType.NameOf(tensor.dtype));
            WriteNumbers(json, "shape", tensor.shape);
            WriteNumbers(json, "data_offsets", [begin, end]);
            json.WriteEndObject();
            begin = end;
        }

        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, long[] numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = tensor.detach().reshape(-1);
        long total = flat.numel();
        long step = ChunkBytes / SafeTensorsType.SizeOf(tensor.dtype);
        for (long start = 0; start < total; start += step)
        {
            using Tensor part = flat.narrow(0, start, Math.Min(step, total - start));
            using Tensor host = part.cpu();
            stream.Write(host.bytes);
        }
    }
}
