using System.Text.Json;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

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
        ScalarType? type = null;
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

    private ScalarType ParseType(ref Utf8JsonReader reader, string name)
    {
        Require(reader.TokenType == JsonTokenType.String, $"dtype of tensor '{name}' must be a string", reader.TokenType);
        string text = reader.GetString()!;
        if (SafeTensorsType.TryParse(text, out ScalarType type))
            return type;
        throw new FormatException($"{source}: dtype of tensor '{name}' must be one of {SafeTensorsType.KnownNames}, but is '{text}'.");
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

    private void RequireExtent(string name, ScalarType type, long[] shape, long[] offsets)
    {
        if (offsets.Length != 2 || offsets[0] > offsets[1])
        {
            throw new FormatException(
                $"{source}: data_offsets of tensor '{name}' must be [begin, end] with begin <= end, but are [{string.Join(", ", offsets)}].");
        }

        // A dimension of 0 beside huge ones makes an empty tensor, but torch multiplies them all the same, hence the order.
        Int128 bytes = SafeTensorsType.SizeOf(type);
        foreach (long dimension in shape)
        {
            bytes *= Math.Max(dimension, 1);
            if (bytes > long.MaxValue)
                throw new FormatException($"{source}: tensor '{name}' has a shape too large to be held: [{string.Join(", ", shape)}].");
        }

        if (shape.Contains(0))
            bytes = 0;
        if (bytes != offsets[1] - offsets[0])
        {
            throw new FormatException(
                $"{source}: tensor '{name}', {SafeTensorsType.NameOf(type)} [{string.Join(", ", shape)}], needs {bytes} bytes, " +
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
