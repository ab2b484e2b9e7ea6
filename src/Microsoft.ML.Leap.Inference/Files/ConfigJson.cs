using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>A <see cref="LeapConfig"/> as <c>config.json</c>, in the keys of the Python original.</summary>
internal static class ConfigJson
{
    /// <summary>The value of <c>model_type</c>.</summary>
    public const string ModelType = "LeapForCausalLM";

    // The original's revision whose network this is. Thirteen later ones have the same tensors and compute something else.
    private const string OriginalRevision = "1872a3a";

    /// <summary>The longest file that is read, in bytes.</summary>
    public const int MaximumLength = 1 << 20;

    // The original's defaults, for keys that are absent.
    private const int AbsentHiddenSize = 256;
    private const int AbsentContextLength = 1024;
    private const int AbsentLayerCount = 4;

    private static readonly JsonWriterOptions _indented = new() { Indented = true, NewLine = "\n" };

    private static readonly JsonDocumentOptions _strict = new() { AllowDuplicateProperties = false };

    /// <summary>Writes the file.</summary>
    public static void Write(Stream stream, LeapConfig config)
    {
        using var json = new Utf8JsonWriter(stream, _indented);
        json.WriteStartObject();
        json.WriteString("model_type", ModelType);
        json.WriteNumber("hidden_size", config.HiddenSize);
        json.WriteNumber("vocab_size", config.VocabularySize);
        json.WriteNumber("n_positions", config.ContextLength);
        json.WriteNumber("n_heads", config.HeadCount);
        json.WriteNumber("n_layer", config.LayerCount);
        json.WriteBoolean("use_local_att", config.UseLocalAttention);
        if (config.UseLocalAttention)
        {
            // The original refuses windows where it is told to use none.
            json.WriteStartArray("window_sizes");
            foreach (int window in config.WindowSizes)
                json.WriteNumberValue(window);
            json.WriteEndArray();
        }

        json.WriteNumber("rescale_value", config.RescaleValue);
        json.WriteNumber("hidden_dropout_prob", config.Dropout);
        json.WriteNumber("initializer_range", config.InitializerRange);

        if (config.UsePositionEmbeddings && config.ConvolutionSize == 0 && !config.UseForgetGates && config.FocusSize == config.HeadSize)
            json.WriteString("original_revision", OriginalRevision);

        // Keys that the original does not know, for a network that it does not have.
        if (!config.UsePositionEmbeddings)
            json.WriteBoolean("use_position_embeddings", false);
        if (config.ConvolutionSize > 0)
            json.WriteNumber("convolution_size", config.ConvolutionSize);
        if (config.UseForgetGates)
            json.WriteBoolean("use_forget_gates", true);
        if (config.FocusSize < config.HeadSize)
            json.WriteNumber("focus_size", config.FocusSize);
        json.WriteEndObject();
    }

    /// <summary>Reads the file. Keys that the original does not know are ignored; absent ones take the original's defaults.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The file is not JSON, or describes no network that can be.</exception>
    public static LeapConfig Read(Stream stream, string source = ModelFileNames.Config)
    {
        byte[] bytes = BoundedReader.ReadAll(stream, MaximumLength, source);
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes, _strict);
            return Parse(new JsonFields(document.RootElement, source));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // A name that is no valid Unicode is reported as an invalid operation.
            throw new FormatException($"{source}: the file is not well-formed JSON: {e.Message}", e);
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"{source}: {e.Message}", e);
        }
    }

    private static LeapConfig Parse(JsonFields json)
    {
        string modelType = json.String("model_type", ModelType);
        if (modelType != ModelType)
            throw json.Fault("model_type", $"\"{ModelType}\"", $"\"{modelType}\"");
        if (json.Contains("rescale"))
        {
            throw new FormatException(
                $"{json.Source}: the key 'rescale' is of a later revision of the original, whose network this package does not have: it has that of {OriginalRevision}.");
        }


        int contextLength = json.Integer("n_positions", AbsentContextLength);
        bool useLocalAttention = json.Boolean("use_local_att", true);
        int[]? windows = json.IntegersOrNull("window_sizes", LeapConfig.MaximumLayerCount);

        // The original fills the list in even where it does not use it.
        if (!useLocalAttention && windows is not null && windows.All(window => window >= contextLength))
            windows = null;
        return new LeapConfig(
            json.Integer("vocab_size", LeapConfig.DefaultVocabularySize),
            json.Integer("hidden_size", AbsentHiddenSize, LeapConfig.MaximumHiddenSize),
            contextLength,
            json.Integer("n_layer", AbsentLayerCount, LeapConfig.MaximumLayerCount),
            json.Integer("n_heads", json.Integer("n_head", LeapConfig.DefaultHeadCount)),
            useLocalAttention,
            windows,
            json.Number("rescale_value", LeapConfig.DefaultRescaleValue),
            json.Number("hidden_dropout_prob", LeapConfig.DefaultDropout),
            json.Number("initializer_range", LeapConfig.DefaultInitializerRange),
            json.Boolean("use_position_embeddings", true),
            json.Integer("convolution_size", 0),
            json.Boolean("use_forget_gates", false),
            json.IntegerOrNull("focus_size"));
    }
}

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

    /// <summary>Gets what messages call the file.</summary>
    public string Source => _source;

    public bool Contains(string name) => _object.TryGetProperty(name, out _);

    public int Integer(string name, int defaultValue, int maximum = int.MaxValue) =>
        _object.TryGetProperty(name, out JsonElement value) ? Integer(name, value, maximum) : defaultValue;

    public int? IntegerOrNull(string name) =>
        _object.TryGetProperty(name, out JsonElement value) ? Integer(name, value, int.MaxValue) : null;

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
        int[] integers = new int[value.GetArrayLength()];
        for (int i = 0; i < integers.Length; i++)
            integers[i] = Integer(name, value[i], int.MaxValue);
        return integers;
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
