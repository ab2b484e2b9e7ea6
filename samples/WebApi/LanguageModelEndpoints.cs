using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>What the model offers over HTTP.</summary>
internal static class LanguageModelEndpoints
{
    public static void MapLanguageModel(this WebApplication app)
    {
        RouteGroupBuilder group = app.MapGroup("").RequireRateLimiting(nameof(Limits));
        group.MapPost("/score", Score);
        group.MapPost("/generate", GenerateAsync);
    }

    // The token is cancelled when the client goes away.
    private static Ok<ScoreResponse> Score(ScoreRequest request, LanguageModel model, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ScoreResponse(model.Score(request.Texts, cancellationToken)));

    private static async Task<Results<Ok<GenerateResponse>, ServerSentEventsResult<GeneratedPiece>>> GenerateAsync(
        GenerateRequest request, LanguageModel model, CancellationToken cancellationToken)
    {
        IAsyncEnumerable<GeneratedToken> tokens = model.Generate(request.Prompt, request.ToOptions(), cancellationToken);
        if (request.Stream)
            return TypedResults.ServerSentEvents(Pieces(tokens));

        List<GeneratedToken> all = await tokens.ToListAsync(cancellationToken);
        string text = string.Concat(all.Select(token => token.Text));
        return TypedResults.Ok(new GenerateResponse(text, all.Count, all[^1].FinishReason!.Value));
    }

    // A token's text is empty while its character, or what may become a stop string, is not complete.
    private static IAsyncEnumerable<GeneratedPiece> Pieces(IAsyncEnumerable<GeneratedToken> tokens) => tokens
        .Where(token => token.Text.Length > 0 || token.FinishReason is not null)
        .Select(token => new GeneratedPiece(token.Text, token.FinishReason));
}
