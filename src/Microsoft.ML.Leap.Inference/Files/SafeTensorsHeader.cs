using System.Buffers.Binary;
using System.Runtime.InteropServices;
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
        SafeTensorInfo[] tensors = [.. Parse(json, source)];
        Array.Sort(tensors, (left, right) => left.Begin != right.Begin ? left.Begin.CompareTo(right.Begin) : left.End.CompareTo(right.End));
        RequireContiguous(tensors, streamLength - PrefixLength - json.Length, source);
        return tensors;
    }

    private static byte[] ReadJson(Stream stream, long streamLength, string source)
    {
        if (streamLength < PrefixLength)
            throw new FormatException($"{source}: a safetensors file has at least {PrefixLength} bytes, but this one has {streamLength}.");

        byte[] prefix = BoundedReader.ReadBytes(stream, PrefixLength, source);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length is 0 or > (ulong)MaximumLength)
            throw new FormatException($"{source}: the header's length must be 1 to {MaximumLength} bytes, but the file says {length}.");
        if (length > (ulong)(streamLength - PrefixLength))
        {
            throw new FormatException(
                $"{source}: the file says that its header has {length} bytes, but only {streamLength - PrefixLength} follow.");
        }

        return BoundedReader.ReadBytes(stream, (int)length, source);
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

/// <summary>Parses the JSON of a safetensors header, checking each tensor by itself.</summary>
internal sealed class SafeTensorsHeaderParser(string source)
{
    // torch's own limit.
    private const int MaximumRank = 64;

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly List<SafeTensorInfo> _tensors = [];

    /// <exception cref="FormatException">An entry is wrong.</exception>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    /// <exception cref="InvalidOperationException">A string is not valid Unicode.</exception>
    public List<SafeTensorInfo> Parse(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        Require(reader.TokenType == JsonTokenType.StartObject, "the header must be a JSON object", reader.TokenType);
        while (ReadKey(ref reader, out string name))
        {
            if (!_names.Add(name))
                throw new FormatException($"{source}: the header names '{name}' twice.");
            reader.Read();
            if (name == SafeTensorsHeader.MetadataKey)
                ParseMetadata(ref reader);
            else
                _tensors.Add(ParseTensor(ref reader, name));
        }

        // Trailing spaces pad the header; anything else behind the object makes this throw.
        reader.Read();
        return _tensors;
    }

    private void ParseMetadata(ref Utf8JsonReader reader)
    {
        Require(reader.TokenType == JsonTokenType.StartObject, "__metadata__ must be a JSON object", reader.TokenType);
        var keys = new HashSet<string>(StringComparer.Ordinal);
        while (ReadKey(ref reader, out string key))
        {
            if (!keys.Add(key))
                throw new FormatException($"{source}: __metadata__ names '{key}' twice.");
            reader.Read();
            Require(reader.TokenType == JsonTokenType.String, $"__metadata__ '{key}' must be a string", reader.TokenType);
        }
    }

    private SafeTensorInfo ParseTensor(ref Utf8JsonReader reader, string name)
    {
        Require(reader.TokenType == JsonTokenType.StartObject, $"tensor '{name}' must be a JSON object", reader.TokenType);
        SafeTensorsType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (ReadKey(ref reader, out string key))
        {
            bool isNew = key switch
            {
                "dtype" => type is null,
                "shape" => shape is null,
                "data_offsets" => offsets is null,
                _ => throw new FormatException(
                    $"{source}: tensor '{name}' has a key '{key}'; expected dtype, shape and data_offsets only."),
            };
            if (!isNew)
                throw new FormatException($"{source}: tensor '{name}' has two keys '{key}'.");

            reader.Read();
            if (key == "dtype")
                type = ParseType(ref reader, name);
            else if (key == "shape")
                shape = ParseNumbers(ref reader, name, key);
            else
                offsets = ParseNumbers(ref reader, name, key);
        }

        if (type is null || shape is null || offsets is null)
            throw new FormatException($"{source}: tensor '{name}' needs the keys dtype, shape and data_offsets.");
        RequireExtent(name, type.Value, shape, offsets);
        return new SafeTensorInfo(name, type.Value, shape, offsets[0], offsets[1]);
    }

    private SafeTensorsType ParseType(ref Utf8JsonReader reader, string name)
    {
        Require(reader.TokenType == JsonTokenType.String, $"dtype of tensor '{name}' must be a string", reader.TokenType);
        string text = reader.GetString()!;
        if (SafeTensorsTypes.TryParse(text, out SafeTensorsType type))
            return type;
        throw new FormatException($"{source}: dtype of tensor '{name}' must be one of {SafeTensorsTypes.KnownNames}, but is '{text}'.");
    }

    private long[] ParseNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        Require(reader.TokenType == JsonTokenType.StartArray, $"{key} of tensor '{name}' must be an array", reader.TokenType);
        var numbers = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            Require(reader.TokenType == JsonTokenType.Number, $"{key} of tensor '{name}' must hold numbers", reader.TokenType);
            if (!reader.TryGetInt64(out long number) || number < 0)
                throw new FormatException($"{source}: {key} of tensor '{name}' must hold whole numbers from 0 to {long.MaxValue}.");
            if (numbers.Count == MaximumRank)
                throw new FormatException($"{source}: {key} of tensor '{name}' must hold at most {MaximumRank} numbers, but holds more.");
            numbers.Add(number);
        }

        return [.. numbers];
    }

    private void RequireExtent(string name, SafeTensorsType type, long[] shape, long[] offsets)
    {
        if (offsets.Length != 2 || offsets[0] > offsets[1])
        {
            throw new FormatException(
                $"{source}: data_offsets of tensor '{name}' must be [begin, end] with begin <= end, but are [{string.Join(", ", offsets)}].");
        }

        // A dimension of 0 beside huge ones makes an empty tensor, but torch multiplies them all the same, hence the order.
        Int128 bytes = type.GetSize();
        bool isEmpty = false;
        foreach (long dimension in shape)
        {
            isEmpty |= dimension == 0;
            bytes *= Math.Max(dimension, 1);
            if (bytes > long.MaxValue)
                throw new FormatException($"{source}: tensor '{name}' has a shape too large to be held: [{string.Join(", ", shape)}].");
        }

        if (isEmpty)
            bytes = 0;
        if (bytes != offsets[1] - offsets[0])
        {
            throw new FormatException(
                $"{source}: tensor '{name}', {type.GetName()} [{string.Join(", ", shape)}], needs {bytes} bytes, " +
                $"but its data_offsets span {offsets[1] - offsets[0]}.");
        }
    }

    private static bool ReadKey(ref Utf8JsonReader reader, out string key)
    {
        reader.Read();
        bool isKey = reader.TokenType == JsonTokenType.PropertyName;
        key = isKey ? reader.GetString()! : "";
        return isKey;
    }

    private void Require(bool condition, string expectation, JsonTokenType got)
    {
        if (!condition)
            throw new FormatException($"{source}: {expectation}, but is a JSON {got}.");
    }
}

/// <summary>What a safetensors header says of one tensor.</summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">The type of its elements in the file.</param>
/// <param name="Shape">Its dimensions, each at least 0; none for a scalar.</param>
/// <param name="Begin">Where its data begin, in bytes after the header.</param>
/// <param name="End">Where its data end, in bytes after the header.</param>
internal sealed record SafeTensorInfo(string Name, SafeTensorsType Type, long[] Shape, long Begin, long End)
{
    /// <summary>Gets the number of elements.</summary>
    public long Count => (End - Begin) / Type.GetSize();
}

/// <summary>The element types of the safetensors format.</summary>
internal enum SafeTensorsType
{
    Boolean,
    UInt8,
    Int8,
    Int16,
    Float16,
    BFloat16,
    Int32,
    Float32,
    Int64,
    Float64,
}

/// <summary>The types' names in the format and their sizes in bytes.</summary>
internal static class SafeTensorsTypes
{
    private static readonly string[] _names = ["BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "I64", "F64"];
    private static readonly int[] _sizes = [1, 1, 1, 2, 2, 2, 4, 4, 8, 8];

    public static string KnownNames => string.Join(", ", _names);

    public static bool TryParse(string name, out SafeTensorsType type)
    {
        int place = Array.IndexOf(_names, name);
        type = (SafeTensorsType)Math.Max(place, 0);
        return place >= 0;
    }

    public static string GetName(this SafeTensorsType type) => _names[(int)type];

    public static int GetSize(this SafeTensorsType type) => _sizes[(int)type];

    public static bool IsFloat(this SafeTensorsType type) =>
        type is SafeTensorsType.Float16 or SafeTensorsType.BFloat16 or SafeTensorsType.Float32 or SafeTensorsType.Float64;

    /// <summary>Converts a floating-point type's values, little-endian, to single precision; a double may become infinite.</summary>
    public static void ToSingle(this SafeTensorsType type, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        switch (type)
        {
            case SafeTensorsType.Float32:
                SafeTensorsType.Int32.ToInt32(bytes, MemoryMarshal.Cast<float, int>(values));
                break;
            case SafeTensorsType.BFloat16:
                ReadOnlySpan<ushort> halves = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (int i = 0; i < values.Length; i++)
                    values[i] = BFloat16Bits.Widen(BitConverter.IsLittleEndian ? halves[i] : BinaryPrimitives.ReverseEndianness(halves[i]));
                break;
            case SafeTensorsType.Float16:
                for (int i = 0; i < values.Length; i++)
                    values[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(2 * i)..]);
                break;
            case SafeTensorsType.Float64:
                for (int i = 0; i < values.Length; i++)
                    values[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "The type holds no floating-point numbers.");
        }
    }

    /// <summary>Copies 16-bit whole numbers, little-endian.</summary>
    public static void ToInt16(this SafeTensorsType type, ReadOnlySpan<byte> bytes, Span<short> values)
    {
        if (type != SafeTensorsType.Int16)
            throw new ArgumentOutOfRangeException(nameof(type), type, "The type is not I16.");
        MemoryMarshal.Cast<byte, short>(bytes).CopyTo(values);
        if (!BitConverter.IsLittleEndian)
            BinaryPrimitives.ReverseEndianness(values, values);
    }

    /// <summary>Converts 16-bit or 32-bit whole numbers, little-endian.</summary>
    public static void ToInt32(this SafeTensorsType type, ReadOnlySpan<byte> bytes, Span<int> values)
    {
        switch (type)
        {
            case SafeTensorsType.Int16:
                ReadOnlySpan<short> numbers = MemoryMarshal.Cast<byte, short>(bytes);
                for (int i = 0; i < values.Length; i++)
                    values[i] = BitConverter.IsLittleEndian ? numbers[i] : BinaryPrimitives.ReverseEndianness(numbers[i]);
                break;
            case SafeTensorsType.Int32:
                MemoryMarshal.Cast<byte, int>(bytes).CopyTo(values);
                if (!BitConverter.IsLittleEndian)
                    BinaryPrimitives.ReverseEndianness(values, values);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "The type is neither I16 nor I32.");
        }
    }
}
