using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Leap;

/// <summary>The body of <c>POST /v1/embeddings</c>.</summary>
/// <param name="Texts">The texts.</param>
/// <param name="IsBase64">Whether the vectors come as base64 of their bytes, as the official clients ask for.</param>
internal sealed record EmbeddingRequest(RequestText[] Texts, bool IsBase64)
{
    public static EmbeddingRequest Parse(JsonElement body, CallContext context)
    {
        var members = new Members(body);
        Models.Require(members, context);
        RequestText[] texts = members.Get("input") is { } input
            ? RequestText.ReadAll(input, "input", context)
            : throw ApiError.Invalid("input", "is missing: give a string, an array of strings, or token ids.");
        if (Array.Exists(texts, text => text.Ids.Count == 0))
            throw ApiError.Invalid("input", "must not be empty, nor hold an empty text.");
        int size = context.Model.Config.HiddenSize;
        if (members.GetInteger("dimensions", 1, int.MaxValue) is { } dimensions && dimensions != size)
            throw ApiError.Invalid("dimensions", $"must be {size}, the size of the model's vectors, or be left out.");
        string format = members.GetText("encoding_format") ?? "float";
        return format is "float" or "base64"
            ? new EmbeddingRequest(texts, format == "base64")
            : throw ApiError.Invalid("encoding_format", "must be float or base64.");
    }
}

/// <summary>Answers <c>POST /v1/embeddings</c>.</summary>
internal static class Embeddings
{
    public static async Task AnswerAsync(EmbeddingRequest request, CallContext context)
    {
        Embedding[] data = await context.ComputeAsync(() => request.Texts.Select((text, i) => Embed(text, i, request.IsBase64, context)).ToArray());
        int tokens = request.Texts.Sum(text => text.Ids.Count);
        context.Metrics.AddScored(tokens);
        await context.Http.Response.WriteJsonAsync(
            new EmbeddingList("list", data, context.Options.ModelName, new Usage(tokens, null, tokens)), ServerJson.Default.EmbeddingList, context.Cancellation);
    }

    private static Embedding Embed(RequestText text, int index, bool isBase64, CallContext context)
    {
        context.Cancellation.ThrowIfCancellationRequested();
        float[] vector = context.Model.Embed(text.Ids);

        // Little-endian, as on every machine that .NET runs on.
        return new Embedding("embedding", index, isBase64
            ? JsonSerializer.SerializeToElement(Convert.ToBase64String(MemoryMarshal.AsBytes<float>(vector)), ServerJson.Default.String)
            : JsonSerializer.SerializeToElement(vector, ServerJson.Default.SingleArray));
    }
}

internal sealed record EmbeddingList(string Object, Embedding[] Data, string Model, Usage Usage);

internal sealed record Embedding(string Object, int Index, [property: JsonPropertyName("embedding")] JsonElement Vector);
