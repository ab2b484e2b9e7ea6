namespace Microsoft.ML.Leap;

/// <summary>A finished continuation.</summary>
/// <param name="Text">The added text, without the prompt.</param>
/// <param name="Tokens">The added tokens, with the one that ended the text.</param>
/// <param name="PromptTokenCount">Number of the prompt's tokens.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record GenerationResult(
    string Text, IReadOnlyList<GeneratedToken> Tokens, int PromptTokenCount, GenerationFinishReason FinishReason);
