using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>The body of POST /generate. See <see cref="GenerationOptions"/> for what the options mean.</summary>
// Public, because ASP.NET Core validates no other types.
public sealed record GenerateRequest : IValidatableObject
{
    /// <summary>Gets the text to continue; empty for a text from its beginning.</summary>
    public required string Prompt { get; init; }

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
            (Prompt.Length <= limits.Characters, "prompt",
                $"At most {limits.Characters} characters are allowed, but it has {Prompt.Length}."),
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
