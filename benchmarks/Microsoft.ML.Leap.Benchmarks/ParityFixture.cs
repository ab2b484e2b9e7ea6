using System.Text;
using System.Text.Json;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A reference case: the tensors of a safetensors file, and the settings in the .json beside it.</summary>
internal sealed class ParityFixture : IDisposable
{
    private readonly IReadOnlyDictionary<string, Tensor> _tensors;
    private readonly JsonDocument _json;
    private readonly string _jsonName;

    /// <exception cref="IOException">A file is missing or cannot be read.</exception>
    /// <exception cref="FormatException">A file is malformed.</exception>
    public ParityFixture(FileInfo file)
    {
        Name = Path.GetFileNameWithoutExtension(file.Name);
        string jsonPath = Path.ChangeExtension(file.FullName, ".json");
        _jsonName = Path.GetFileName(jsonPath);
        _json = ReadJson(jsonPath);
        _tensors = TensorFiles.Load(file.FullName);
        Names = [.. _tensors.Keys];
    }

    public string Name { get; }

    public IReadOnlyList<string> Names { get; }

    /// <summary>Gets whether the case is of a whole network; otherwise it is of one attention layer.</summary>
    public bool IsNetwork => Has("input_ids");

    public bool Has(string tensor) => _tensors.ContainsKey(tensor);

    /// <summary>Gets a tensor after checking its shape, in which -1 stands for any size.</summary>
    public Tensor Get(string tensor, params long[] shape)
    {
        if (!_tensors.TryGetValue(tensor, out Tensor? value))
            throw new FormatException($"{Name}.safetensors has no tensor '{tensor}'.");
        if (value.dim() != shape.Length || shape.Where((size, i) => size >= 0 && size != value.shape[i]).Any())
        {
            throw new FormatException(
                $"{Name}.safetensors: expected '{tensor}' of shape [{Text(shape)}], but it is [{Text(value.shape)}].");
        }

        return value;
    }

    public LeapConfig Config()
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(Setting("config").GetRawText()));
        return ConfigJson.Read(stream, $"{_jsonName}, config");
    }

    public int Integer(string key) =>
        Setting(key) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out int value) && value > 0
            ? value
            : throw new FormatException($"{_jsonName}: '{key}' must be a whole number over 0.");

    public double Number(string key) =>
        NumberOrNull(key) ?? throw new FormatException($"{_jsonName} has no number '{key}'.");

    public double? NumberOrNull(string key) =>
        _json.RootElement.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    public void Dispose()
    {
        _json.Dispose();
        foreach (Tensor tensor in _tensors.Values)
            tensor.Dispose();
    }

    private static string Text(long[] shape) => string.Join(", ", shape.Select(size => size < 0 ? "any" : $"{size}"));

    private JsonElement Setting(string key) =>
        _json.RootElement.TryGetProperty(key, out JsonElement value) ? value : throw new FormatException($"{_jsonName} has no key '{key}'.");

    private JsonDocument ReadJson(string path)
    {
        using FileStream stream = File.OpenRead(path);
        try
        {
            JsonDocument json = JsonDocument.Parse(stream);
            return json.RootElement.ValueKind == JsonValueKind.Object
                ? json
                : throw new FormatException($"{_jsonName} must hold a JSON object.");
        }
        catch (JsonException e)
        {
            throw new FormatException($"{_jsonName} is not well-formed JSON: {e.Message}", e);
        }
    }
}
