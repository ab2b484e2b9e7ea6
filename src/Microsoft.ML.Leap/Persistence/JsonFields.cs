using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>Reads the fields of a JSON object, saying of a wrong one what was expected and what was got.</summary>
internal sealed class JsonFields
{
    private readonly JsonElement _object;
    private readonly string _source;

    /// <exception cref="FormatException"><paramref name="element"/> is not an object.</exception>
    public JsonFields(JsonElement element, string source)
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{source}: expected a JSON object, but got {Describe(element)}.");
        _object = element;
        _source = source;
    }

    public int Integer(string name, int defaultValue, int maximum = int.MaxValue) =>
        _object.TryGetProperty(name, out JsonElement value) ? Integer(name, value, maximum) : defaultValue;

    public double Number(string name, double defaultValue)
    {
        if (!_object.TryGetProperty(name, out JsonElement value))
            return defaultValue;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number)
            ? number
            : throw Fault(name, "a number", Describe(value));
    }

    public bool Boolean(string name, bool defaultValue)
    {
        if (!_object.TryGetProperty(name, out JsonElement value))
            return defaultValue;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw Fault(name, "true or false", Describe(value));
    }

    public string String(string name, string defaultValue)
    {
        if (!_object.TryGetProperty(name, out JsonElement value))
            return defaultValue;
        return value.ValueKind == JsonValueKind.String ? Text(name, value) : throw Fault(name, "a string", Describe(value));
    }

    public int[]? IntegersOrNull(string name, int maximumCount)
    {
        if (!_object.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > maximumCount)
            throw Fault(name, $"null or an array of at most {maximumCount} whole numbers", Describe(value));
        return [.. value.EnumerateArray().Select(item => Integer(name, item, int.MaxValue))];
    }

    public FormatException Fault(string name, string expected, string got) =>
        new($"{_source}: {name} must be {expected}, but is {got}.");

    private int Integer(string name, JsonElement value, int maximum)
    {
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number <= maximum
            ? number
            : throw Fault(name, $"a whole number of at most {maximum}", Describe(value));
    }

    private string Text(string name, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new FormatException($"{_source}: {name} is not valid Unicode.", e);
        }
    }

    private static string Describe(JsonElement value)
    {
        const int longest = 40;
        string text = value.GetRawText();
        return text.Length <= longest ? text : string.Concat(text.AsSpan(0, longest), "...");
    }
}
