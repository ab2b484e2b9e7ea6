using System.Runtime.InteropServices.JavaScript;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Leap;

namespace Browser;

/// <summary>What worker.js calls: one model, which it reads from a zip.</summary>
[SupportedOSPlatform("browser")]
internal static partial class Engine
{
    private static LeapLanguageModel? s_model;
    private static CancellationTokenSource s_generation = new();

    private static LeapLanguageModel Model => s_model ?? throw new InvalidOperationException("No model is open.");

    /// <summary>Opens a model in place of the one before.</summary>
    /// <param name="zip">The zip's bytes.</param>
    /// <returns>What it is, as JSON.</returns>
    [JSExport]
    internal static string Open(byte[] zip)
    {
        LeapLanguageModel model = LeapLanguageModel.Load(new MemoryStream(zip));
        s_generation.Cancel();
        s_model?.Dispose();
        s_model = model;
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("parameters", model.Config.ParameterCount);
            json.WriteNumber("layers", model.Config.LayerCount);
            json.WriteNumber("heads", model.Config.HeadCount);
            json.WriteNumber("contextLength", model.Config.ContextLength);
            json.WriteNumber("readingLength", model.Config.ReadingLength);
            json.WriteNumber("vocabularySize", model.Tokenizer.VocabularySize);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    /// <summary>Explains a text.</summary>
    /// <returns>The JSON of <see cref="FocusReport.WriteJson"/>.</returns>
    [JSExport]
    internal static string Explain(string text)
    {
        using var stream = new MemoryStream();
        Model.Explain(text).WriteJson(stream);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    /// <summary>Continues a text until it ends, or until <see cref="Stop"/>.</summary>
    /// <returns>The number of tokens.</returns>
    [JSExport]
    internal static async Task<int> Generate(
        string prompt, double temperature, double topP, int topK, int maximumNewTokens, int seed,
        [JSMarshalAs<JSType.Function<JSType.String>>] Action<string> onText)
    {
        s_generation.Cancel();
        s_generation = new CancellationTokenSource();
        CancellationToken stop = s_generation.Token;
        var options = new GenerationOptions { Temperature = temperature, TopP = topP, TopK = topK, MaximumNewTokens = maximumNewTokens, Seed = seed };
        int count = 0;
        try
        {
            await foreach (GeneratedToken token in Model.GenerateTokensAsync(prompt, options, stop))
            {
                count++;
                if (token.Text.Length > 0)
                    onText(token.Text);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // What was written stays.
        }

        return count;
    }

    /// <summary>Ends the continuation that runs.</summary>
    [JSExport]
    internal static void Stop() => s_generation.Cancel();
}
