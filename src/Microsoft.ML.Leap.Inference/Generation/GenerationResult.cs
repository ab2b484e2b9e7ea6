namespace Microsoft.ML.Leap;

/// <summary>A text to continue, one of several. Immutable, and therefore thread-safe.</summary>
/// <param name="Prompt">The text; empty for a text from its beginning.</param>
/// <param name="Options">How to continue it; <see langword="null"/> for the options that the model was made with.</param>
public sealed record GenerationRequest(string Prompt, GenerationOptions? Options = null);

/// <summary>A finished continuation.</summary>
/// <param name="Text">The added text, without the prompt.</param>
/// <param name="Tokens">The added tokens, with the one that ended the text.</param>
/// <param name="PromptTokenCount">Number of the prompt's tokens.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record GenerationResult(
    string Text, IReadOnlyList<GeneratedToken> Tokens, int PromptTokenCount, GenerationFinishReason FinishReason);

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

/// <summary>A token that might have come, and how likely the model found it.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Text">Its text, for display, as <see cref="LeapTokenizer.GetTokenText"/> gives it.</param>
/// <param name="LogProbability">Natural logarithm of its probability by the model alone, before penalties, bias and temperature.</param>
public sealed record TokenLogProbability(int Id, string Text, double LogProbability);

/// <summary>Why a continuation ended.</summary>
public enum GenerationFinishReason
{
    /// <summary>The model ended the text.</summary>
    EndOfText,

    /// <summary>One of <see cref="GenerationOptions.StopTokens"/> was drawn.</summary>
    StopToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> came up.</summary>
    StopString,

    /// <summary>There are <see cref="GenerationOptions.MaximumNewTokens"/> tokens.</summary>
    MaximumNewTokens,
}
