using System.Text.Json;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Reads published token ids.</summary>
internal static class GoldenIds
{
    public static IEnumerable<(string Text, int[] Ids)> Read(string model)
    {
        foreach (JsonElement entry in ReadFile().GetProperty(model).EnumerateArray())
            yield return (entry.GetProperty("text").GetString()!, [.. entry.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())]);
    }

    public static (int Tokens, int Unknown, string Hash) ReadReferenceRun(string split)
    {
        JsonElement run = ReadFile().GetProperty("t5_reference_run").GetProperty("wikitext-2").GetProperty(split);
        return (
            run.GetProperty("tokens").GetInt32(),
            run.GetProperty("unk_ids").GetInt32(),
            run.GetProperty("sha256_of_ids_text").GetString()!);
    }

    private static JsonElement ReadFile() => JsonDocument.Parse(TestData.ReadText("golden", "golden_ids.json")).RootElement;
}
