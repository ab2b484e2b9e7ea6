using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>Writes a focus report as JSON, with the default escapes, so that it can stand in HTML too.</summary>
internal static class FocusJson
{
    public static void Write(Stream stream, FocusReport report, bool isIndented)
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = isIndented, NewLine = "\n" });
        json.WriteStartObject();
        json.WriteString("text", report.Text);
        json.WriteNumber("promptTokenCount", report.PromptTokenCount);
        WriteNumbers(json, "focus", report.Focus);
        json.WriteStartArray("tokens");
        foreach (FocusToken token in report.Tokens)
            WriteToken(json, token);
        json.WriteEndArray();
        json.WriteStartArray("layers");
        for (int layer = 0; layer < report.LayerCount; layer++)
            WriteLayer(json, report, layer);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, FocusToken token)
    {
        json.WriteStartObject();
        json.WriteNumber("id", token.Id);
        json.WriteString("text", token.Text);
        json.WriteNumber("start", token.Start);
        json.WriteNumber("length", token.Length);
        json.WriteBoolean("isContinuation", token.IsContinuation);
        WriteFinite(json, "logLikelihood", token.LogLikelihood);
        WriteFinite(json, "surprise", token.Surprisal);
        json.WriteEndObject();
    }

    private static void WriteLayer(Utf8JsonWriter json, FocusReport report, int layer)
    {
        json.WriteStartObject();
        json.WriteNumber("window", report.WindowSizes[layer]);
        WriteNumbers(json, "focus", report.GetFocus(layer));
        json.WriteStartArray("heads");
        for (int head = 0; head < report.HeadCount; head++)
        {
            json.WriteStartObject();
            WriteNumbers(json, "weights", report.GetWeights(layer, head));
            WriteNumbers(json, "gates", report.GetGates(layer, head));
            WriteNumbers(json, "kept", report.GetKept(layer, head));
            WriteNumbers(json, "focus", report.GetFocus(layer, head));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IReadOnlyList<float> values)
    {
        json.WriteStartArray(name);
        foreach (float value in values)
        {
            if (float.IsFinite(value))
                json.WriteNumberValue(value);
            else
                json.WriteNullValue();
        }

        json.WriteEndArray();
    }

    // JSON has no NaN: the start's likelihood is null, and so is what weights make that are finite and too large.
    private static void WriteFinite(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
            json.WriteNumber(name, value);
        else
            json.WriteNull(name);
    }
}
