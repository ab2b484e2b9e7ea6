using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace Microsoft.ML.Leap;

/// <summary>The body of <c>POST /score</c>.</summary>
internal sealed record ScoreRequest(string[] Texts)
{
    public static ScoreRequest Parse(JsonElement body, CallContext context)
    {
        int most = context.Options.Texts;
        if (new Members(body).Get("texts") is not { ValueKind: JsonValueKind.Array } array || array.GetArrayLength() == 0)
            throw ApiError.Invalid("texts", $"must be an array of 1 to {most} strings.");
        if (array.GetArrayLength() > most)
            throw ApiError.Invalid("texts", $"must be 1 to {most} strings, but there are {array.GetArrayLength()}.");
        string[] texts = [.. array.EnumerateArray().Select((item, i) => Members.ToText(item, $"texts[{i}]"))];
        int empty = Array.IndexOf(texts, "");
        if (empty >= 0)
            throw ApiError.Invalid($"texts[{empty}]", "must not be empty.");
        RequestText.RequireLength(texts.Sum(text => (long)text.Length), "texts", context.Options);
        return new ScoreRequest(texts);
    }
}

/// <summary>Answers <c>POST /score</c>.</summary>
internal static class Scores
{
    // Texts that are scored before somebody looks whether the client is still there.
    private const int Chunk = 32;

    public static async Task AnswerAsync(ScoreRequest request, CallContext context)
    {
        TextScore[] scores = await context.ComputeAsync(() => request.Texts.Chunk(Chunk).SelectMany(texts =>
        {
            context.Cancellation.ThrowIfCancellationRequested();
            return context.Model.ScoreAll(texts);
        }).ToArray());
        context.Metrics.AddScored(scores.Sum(score => (long)score.TokenCount));
        await context.Http.Response.WriteJsonAsync(new ScoreList(Array.ConvertAll(scores, ScoreOfText.From)), ServerJson.Default.ScoreList, context.Cancellation);
    }
}

/// <summary>The body of <c>POST /explain</c>.</summary>
internal sealed record ExplainRequest(string Text)
{
    public static ExplainRequest Parse(JsonElement body, CallContext context)
    {
        string text = new Members(body).GetText("text") ?? throw ApiError.Invalid("text", "is missing: give a string.");
        RequestText.RequireLength(text.Length, "text", context.Options);
        int tokens = context.Model.Tokenizer.Encode(text).Count;
        int most = context.Model.Config.ReadingLength - 1;
        return tokens <= most
            ? new ExplainRequest(text)
            : throw ApiError.Invalid("text", $"may have at most {most} tokens, which the model reads at once, but has {tokens}.");
    }
}

/// <summary>Answers <c>POST /explain</c>.</summary>
internal static class Explanations
{
    public static async Task AnswerAsync(ExplainRequest request, CallContext context)
    {
        using MemoryStream json = await context.ComputeAsync(() =>
        {
            var written = new MemoryStream();
            FocusReport report = context.Model.Explain(request.Text);
            context.Metrics.AddScored(report.Tokens.Count);
            report.WriteJson(written);
            return written;
        });
        HttpResponse response = context.Http.Response;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = json.Length;
        await response.Body.WriteAsync(json.GetBuffer().AsMemory(0, (int)json.Length), context.Cancellation);
    }
}

internal sealed record ScoreList(ScoreOfText[] Scores);

/// <summary>A text's score; numbers that JSON does not have are left out.</summary>
internal sealed record ScoreOfText(
    [property: JsonPropertyName("logLikelihood")] double? LogLikelihood,
    [property: JsonPropertyName("tokenCount")] int TokenCount,
    [property: JsonPropertyName("perplexity")] double? Perplexity)
{
    public static ScoreOfText From(TextScore score) => new(Finite(score.LogLikelihood), score.TokenCount, Finite(score.Perplexity));

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
