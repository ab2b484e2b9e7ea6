using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace WebApi;

/// <summary>The body of POST /score.</summary>
// Public, because ASP.NET Core validates no other types.
public sealed record ScoreRequest : IValidatableObject
{
    /// <summary>Gets the texts to score.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        Limits limits = validationContext.GetRequiredService<IOptions<Limits>>().Value;
        if (Texts.Count < 1 || Texts.Count > limits.Texts)
            yield return new ValidationResult($"Must be 1 to {limits.Texts} texts, but there are {Texts.Count}.", ["texts"]);
        for (int i = 0; i < Texts.Count; i++)
        {
            // Nullable annotations of a list's elements are not respected by the deserializer.
            if (string.IsNullOrEmpty(Texts[i]))
            {
                yield return new ValidationResult("Must not be empty.", [$"texts[{i}]"]);
            }
            else if (Texts[i].Length > limits.Characters)
            {
                yield return new ValidationResult(
                    $"At most {limits.Characters} characters are allowed, but it has {Texts[i].Length}.", [$"texts[{i}]"]);
            }
        }
    }
}
