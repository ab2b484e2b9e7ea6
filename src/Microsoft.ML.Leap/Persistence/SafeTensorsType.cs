using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The element types of the safetensors format that torch has too: their names there and their sizes in bytes.</summary>
internal static class SafeTensorsType
{
    private static readonly (string Name, ScalarType Type, int Size)[] _known =
    [
        ("BOOL", ScalarType.Bool, 1),
        ("U8", ScalarType.Byte, 1),
        ("I8", ScalarType.Int8, 1),
        ("I16", ScalarType.Int16, 2),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I32", ScalarType.Int32, 4),
        ("F32", ScalarType.Float32, 4),
        ("I64", ScalarType.Int64, 8),
        ("F64", ScalarType.Float64, 8),
    ];

    public static string KnownNames => string.Join(", ", _known.Select(known => known.Name));

    public static bool TryParse(string name, out ScalarType type)
    {
        foreach ((string knownName, ScalarType knownType, _) in _known)
        {
            if (knownName == name)
            {
                type = knownType;
                return true;
            }
        }

        type = default;
        return false;
    }

    public static string NameOf(ScalarType type) => Find(type).Name;

    public static int SizeOf(ScalarType type) => Find(type).Size;

    public static bool IsFloat(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64;

    private static (string Name, ScalarType Type, int Size) Find(ScalarType type)
    {
        foreach ((string Name, ScalarType Type, int Size) known in _known)
        {
            if (known.Type == type)
                return known;
        }

        throw new ArgumentException($"A safetensors file holds tensors of {KnownNames}, but a tensor of {type} was given.", nameof(type));
    }
}
