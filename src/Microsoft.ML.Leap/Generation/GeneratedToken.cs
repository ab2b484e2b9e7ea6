namespace Microsoft.ML.Leap;

/// <summary>A token that was added to a text.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Text">The text that is certain with this token: whole characters, and nothing that may be the begin of a stop string; may be empty.
/// The texts of all tokens, one after another, are the added text.</param>
/// <param name="LogProbability">Natural logarithm of the token's probability by the model alone, before penalties, bias and temperature.</param>
/// <param name="Alternatives">The likeliest tokens by the model alone, <see cref="GenerationOptions.LogProbabilityCount"/> of them, best
/// first.</param>
/// <param name="FinishReason">Why the text ends with this token; <see langword="null"/> where it goes on.</param>
public sealed record GeneratedToken(
    int Id, string Text, double LogProbability, IReadOnlyList<TokenLogProbability> Alternatives, GenerationFinishReason? FinishReason);
