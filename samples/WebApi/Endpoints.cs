using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>What the model offers over HTTP.</summary>
internal static class Endpoints
{
    public static void MapLanguageModel(this WebApplication app)
    {
        RouteGroupBuilder group = app.MapGroup("").RequireRateLimiting(nameof(Limits))
            .AddEndpointFilter(app.Services.GetRequiredService<Places>());
        group.MapPost("/score", Score);
        group.MapPost("/generate", GenerateAsync);
    }

    // The token is cancelled when the client goes away.
    private static Ok<ScoreResponse> Score(ScoreRequest request, LanguageModel model, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ScoreResponse(model.Score(request.Texts, cancellationToken)));

    private static async Task<Results<Ok<GenerateResponse>, ServerSentEventsResult<GeneratedPiece>>> GenerateAsync(
        GenerateRequest request, LanguageModel model, CancellationToken cancellationToken)
    {
        IAsyncEnumerable<GeneratedToken> tokens = model.Generate(request.Prompt!, request.ToOptions(), cancellationToken);
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

/// <summary>The body of POST /score.</summary>
// Public, because ASP.NET Core validates no other types.
public sealed record ScoreRequest : IValidatableObject
{
    /// <summary>Gets the texts to score.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        Limits limits = validationContext.GetRequiredService<IOptions<Limits>>().Value;
        if (Texts.Count < 1 || Texts.Count > limits.Texts)
            return [new ValidationResult($"Must be 1 to {limits.Texts} texts, but there are {Texts.Count}.", ["texts"])];

        // Nullable annotations of a list's elements are not respected by the deserializer.
        int empty = Texts.ToList().FindIndex(string.IsNullOrEmpty);
        if (empty >= 0)
            return [new ValidationResult("Must not be empty.", [$"texts[{empty}]"])];

        long characters = Texts.Sum(text => (long)text.Length);
        return characters <= limits.Characters
            ? []
            : [new ValidationResult($"At most {limits.Characters} characters are allowed, but all texts together have {characters}.", ["texts"])];
    }
}

/// <summary>The answer of POST /score.</summary>
/// <param name="Scores">A score for each text, in their order.</param>
internal sealed record ScoreResponse(IReadOnlyList<TextScore> Scores);

/// <summary>A text's score.</summary>
/// <param name="LogLikelihood">Sum of ln p(token) over its tokens, in nats; left out where there are none.</param>
/// <param name="TokenCount">Number of its tokens.</param>
/// <param name="Perplexity">exp(-<paramref name="LogLikelihood"/> / <paramref name="TokenCount"/>); left out without tokens.</param>
internal sealed record TextScore(float? LogLikelihood, int TokenCount, float? Perplexity)
{
    // JSON has no NaN and no infinity.
    public static TextScore FromRow(ScoredText row) => new(Finite(row.LogLikelihood), row.TokenCount, Finite(row.Perplexity));

    private static float? Finite(float value) => float.IsFinite(value) ? value : null;
}

/// <summary>The body of POST /generate. See <see cref="GenerationOptions"/> for what the options mean.</summary>
// Public, because ASP.NET Core validates no other types.
public sealed record GenerateRequest : IValidatableObject
{
    /// <summary>Gets the text to continue; empty for a text from its beginning.</summary>
    public string? Prompt { get; init; }

    /// <summary>Gets whether the text is streamed, as server-sent events.</summary>
    public bool Stream { get; init; }

    public int MaximumNewTokens { get; init; } = 100;

    public int MinimumNewTokens { get; init; }

    public double Temperature { get; init; } = 0.8;

    public int TopK { get; init; } = 40;

    public double TopP { get; init; } = 1;

    public IReadOnlyList<string> StopStrings { get; init; } = [];

    public int? Seed { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        Limits limits = validationContext.GetRequiredService<IOptions<Limits>>().Value;
        (bool IsValid, string Field, string Fault)[] checks =
        [
            (Prompt is not null, "prompt", "Must be given; it may be empty."),
            (!(Prompt?.Length > limits.Characters), "prompt",
                $"At most {limits.Characters} characters are allowed, but it has {Prompt?.Length}."),
            (MaximumNewTokens >= 1 && MaximumNewTokens <= limits.NewTokens, "maximumNewTokens", $"Must be from 1 to {limits.NewTokens}."),
            (MinimumNewTokens >= 0 && MinimumNewTokens <= MaximumNewTokens, "minimumNewTokens", "Must be from 0 to maximumNewTokens."),
            (Temperature is >= 0 and <= 10, "temperature", "Must be from 0 to 10."),
            (TopK >= 0, "topK", "Must be at least 0."),
            (TopP is > 0 and <= 1, "topP", "Must be over 0, and at most 1."),
            (StopStrings.Count <= 8 && StopStrings.All(stop => stop is { Length: > 0 and <= 100 }), "stopStrings",
                "At most 8 strings of 1 to 100 characters are allowed."),
        ];
        return checks.Where(check => !check.IsValid).Select(check => new ValidationResult(check.Fault, [check.Field]));
    }

    public GenerationOptions ToOptions() => new()
    {
        MaximumNewTokens = MaximumNewTokens,
        MinimumNewTokens = MinimumNewTokens,
        Temperature = Temperature,
        TopK = TopK,
        TopP = TopP,
        StopStrings = StopStrings,
        Seed = Seed,

        // A text that reaches past the model's context goes on, instead of ending with an exception.
        PositionPolicy = PositionPolicy.Restart,
    };
}

/// <summary>The answer of POST /generate without streaming.</summary>
/// <param name="Text">The added text, without the prompt.</param>
/// <param name="TokenCount">Number of added tokens, with the one that ended the text.</param>
/// <param name="FinishReason">Why it ended.</param>
internal sealed record GenerateResponse(string Text, int TokenCount, GenerationFinishReason FinishReason);

/// <summary>An event of a streamed text.</summary>
/// <param name="Text">What comes next: whole characters.</param>
/// <param name="FinishReason">Why the text ended; only in its last event.</param>
internal sealed record GeneratedPiece(string Text, GenerationFinishReason? FinishReason);
