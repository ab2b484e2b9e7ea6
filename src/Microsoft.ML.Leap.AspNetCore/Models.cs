using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace Microsoft.ML.Leap;

/// <summary>Tells which model there is: <c>GET /v1/models</c>, <c>GET /v1/models/NAME</c>, <c>GET /info</c>.</summary>
internal static class Models
{
    private static readonly long Started = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    public static Task ListAsync(CallContext context) => context.Http.Response.WriteJsonAsync(
        new ModelList("list", [Describe(context.Options)]), ServerJson.Default.ModelList, context.Cancellation);

    public static Task GetAsync(CallContext context)
    {
        // A slash within a name comes as %2F, which routing leaves as it is.
        string name = (string?)context.Http.Request.RouteValues["id"] ?? "";
        RequireName(name.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase), context);
        return context.Http.Response.WriteJsonAsync(Describe(context.Options), ServerJson.Default.ModelDescription, context.Cancellation);
    }

    public static Task InfoAsync(CallContext context)
    {
        LeapConfig config = context.Model.Config;
        LeapTokenizer tokenizer = context.Model.Tokenizer;
        return context.Http.Response.WriteJsonAsync(
            new ModelInfo(
                context.Options.ModelName, config.ParameterCount, config.LayerCount, config.HeadCount, config.ContextLength, config.ReadingLength, tokenizer.VocabularySize,
                tokenizer.Kind, context.Options.NewTokens),
            ServerJson.Default.ModelInfo, context.Cancellation);
    }

    /// <summary>Refuses a body that asks for another model; one that names none means this one.</summary>
    public static void Require(Members members, CallContext context)
    {
        if (members.GetText("model") is { Length: > 0 } name)
            RequireName(name, context);
    }

    private static void RequireName(string name, CallContext context)
    {
        if (name != context.Options.ModelName)
        {
            throw ApiError.NotFound(
                $"There is no model '{ApiError.Shorten(name)}' here; the model's name is '{context.Options.ModelName}'.", "model", "model_not_found");
        }
    }

    private static ModelDescription Describe(LeapServerOptions options) => new(options.ModelName, "model", Started, "leap");
}

/// <summary>Answers <c>GET /health</c>: whether the model computes.</summary>
internal static class Health
{
    public static async Task AnswerAsync(HttpContext http)
    {
        var model = (LeapLanguageModel)http.RequestServices.GetService(typeof(LeapLanguageModel))!;
        string status = "ok";
        try
        {
            model.PredictTokens([model.Tokenizer.EndOfTextId], 0);
        }
        catch (ObjectDisposedException)
        {
            status = "unavailable";
            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        }

        await http.Response.WriteJsonAsync(new HealthStatus(status), ServerJson.Default.HealthStatus, http.RequestAborted);
    }
}

internal sealed record ModelList(string Object, ModelDescription[] Data);

internal sealed record ModelDescription(string Id, string Object, long Created, string OwnedBy);

internal sealed record HealthStatus(string Status);

internal sealed record ModelInfo(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("parameters")] long Parameters,
    [property: JsonPropertyName("layers")] int Layers,
    [property: JsonPropertyName("heads")] int Heads,
    [property: JsonPropertyName("contextLength")] int ContextLength,
    [property: JsonPropertyName("readingLength")] int ReadingLength,
    [property: JsonPropertyName("vocabularySize")] int VocabularySize,
    [property: JsonPropertyName("tokenizer")] string Tokenizer,
    [property: JsonPropertyName("maximumNewTokens")] int MaximumNewTokens);
