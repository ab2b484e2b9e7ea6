using System.Buffers.Binary;
using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>Reads a safetensors file: the header at once, and the tensors in one pass, in pieces.</summary>
/// <remarks>Beyond its destinations the reader takes a few megabytes, whatever the file's size. The stream need not be
/// seekable. Not thread-safe.</remarks>
internal sealed class SafeTensorsReader
{
    private const int ChunkBytes = 1 << 16;

    private readonly Stream _stream;
    private readonly string _source;
    private bool _isRead;

    /// <summary>Reads and checks the header.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The header is malformed, or does not describe a file of this length.</exception>
    public SafeTensorsReader(Stream stream, long length, string source)
    {
        _stream = stream;
        _source = source;
        Tensors = SafeTensorsHeader.Read(stream, length, source);
    }

    /// <summary>Takes a piece of a tensor: the place of its first value, and the values' bytes, little-endian.</summary>
    public delegate void ReadPiece(SafeTensorInfo info, long start, ReadOnlySpan<byte> bytes);

    /// <summary>Gets what the file holds, in the order of the data.</summary>
    public IReadOnlyList<SafeTensorInfo> Tensors { get; }

    /// <summary>Gets whether a tensor is a matrix whose pieces are whole rows: any with rows of at most 64 kilobytes.</summary>
    public static bool ComesInRows(SafeTensorInfo info) =>
        info.Shape is [_, > 0 and <= ChunkBytes] && info.Shape[1] * info.Type.GetSize() <= ChunkBytes;

    /// <summary>Reads every tensor, once, in pieces of whole values.</summary>
    /// <param name="read">Takes the pieces, in their order.</param>
    /// <exception cref="FormatException">The file is truncated.</exception>
    /// <exception cref="InvalidOperationException">The tensors were read already.</exception>
    public void ReadTensors(ReadPiece read)
    {
        if (_isRead)
            throw new InvalidOperationException("The tensors of a stream can be read only once.");
        _isRead = true;
        byte[] buffer = [];
        foreach (SafeTensorInfo info in Tensors)
        {
            int size = info.Type.GetSize();
            long step = ChunkBytes / size;
            if (ComesInRows(info))
                step -= step % info.Shape[1];
            for (long start = 0; start < info.Count; start += step)
            {
                int bytes = (int)Math.Min(step, info.Count - start) * size;
                if (buffer.Length < bytes)
                    buffer = new byte[bytes];
                BoundedReader.ReadExactly(_stream, buffer.AsSpan(0, bytes), _source);
                read(info, start, buffer.AsSpan(0, bytes));
            }
        }
    }

    /// <summary>Says that a tensor holds a value that is not finite.</summary>
    public FormatException CreateNotFiniteException(SafeTensorInfo info) =>
        new($"{_source}: tensor '{info.Name}' holds values that are not finite.");
}

/// <summary>A tensor to write.</summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions; none for a scalar.</param>
/// <param name="WriteData">Writes its values, little-endian, in row-major order.</param>
internal sealed record SafeTensor(string Name, SafeTensorsType Type, long[] Shape, Action<Stream> WriteData)
{
    /// <summary>Gets the bytes of its data.</summary>
    public long Length => Shape.Aggregate((long)Type.GetSize(), (product, dimension) => product * dimension);
}

/// <summary>Writes tensors as a safetensors file that any reader of the format, Hugging Face's among them, accepts.</summary>
internal static class SafeTensorsWriter
{
    private const int Alignment = 8;

    /// <summary>Writes the tensors, each once: larger element types first, then by name.</summary>
    /// <param name="stream">Where to; it need not be seekable, and stays open.</param>
    /// <param name="tensors">The tensors, each name once.</param>
    /// <exception cref="ArgumentException">A name is given twice or is the format's own.</exception>
    public static void Write(Stream stream, IEnumerable<SafeTensor> tensors)
    {
        SafeTensor[] ordered = [.. tensors.OrderByDescending(tensor => tensor.Type.GetSize()).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];
        RequireNames(ordered);
        stream.Write(CreateHeader(ordered));
        foreach (SafeTensor tensor in ordered)
            tensor.WriteData(stream);
    }

    private static void RequireNames(SafeTensor[] tensors)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (SafeTensor tensor in tensors)
        {
            if (tensor.Name == SafeTensorsHeader.MetadataKey)
                throw new ArgumentException($"A tensor cannot be named '{tensor.Name}': the format keeps that name for itself.", nameof(tensors));
            if (!names.Add(tensor.Name))
                throw new ArgumentException($"Two tensors are named '{tensor.Name}'.", nameof(tensors));
        }
    }

    private static byte[] CreateHeader(SafeTensor[] tensors)
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

    private static void WriteJson(Utf8JsonWriter json, SafeTensor[] tensors)
    {
        json.WriteStartObject();

        // Hugging Face's loader asks which framework a file was written for, and takes "pt" as it is.
        json.WriteStartObject(SafeTensorsHeader.MetadataKey);
        json.WriteString("format", "pt");
        json.WriteEndObject();
        long begin = 0;
        foreach (SafeTensor tensor in tensors)
        {
            long end = begin + tensor.Length;
            json.WriteStartObject(tensor.Name);
            json.WriteString("dtype", tensor.Type.GetName());
            WriteNumbers(json, "shape", tensor.Shape);
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
}
