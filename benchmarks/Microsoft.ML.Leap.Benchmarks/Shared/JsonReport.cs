using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
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

    /// <summary>Gives the same as a part of another result.</summary>
    public static JsonNode ToNode(object result) => JsonSerializer.SerializeToNode(result, Options)!;

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

/// <summary>Prints a line of progress every ten seconds, and at each evaluation.</summary>
internal sealed class ConsoleProgress
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private readonly Stopwatch _sinceLast = Stopwatch.StartNew();

    public void Report(TrainingProgress progress)
    {
        if (_sinceLast.Elapsed < Interval && progress.ValidationLoss is null)
            return;
        Console.WriteLine(progress);
        _sinceLast.Restart();
    }
}
