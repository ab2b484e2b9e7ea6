using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Writes a result as indented JSON in camel case. What is <see langword="null"/> is left out.</summary>
internal static class JsonReport
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes the file whole or not at all: under a temporary name beside it, and renamed.</summary>
    public static void Write<T>(string path, T result)
    {
        string full = Path.GetFullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        string temporary = full + ".tmp";
        File.WriteAllText(temporary, JsonSerializer.Serialize(result, Options) + "\n");
        File.Move(temporary, full, overwrite: true);
    }
}
