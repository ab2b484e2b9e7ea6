using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>The answer of POST /generate without streaming.</summary>
/// <param name="Text">The added text, without the prompt.</param>
/// <param name="TokenCount">Number of added tokens, with the one that ended the text.</param>
/// <param name="FinishReason">Why it ended.</param>
internal sealed record GenerateResponse(string Text, int TokenCount, GenerationFinishReason FinishReason);
