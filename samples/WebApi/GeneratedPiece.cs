using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>An event of a streamed text.</summary>
/// <param name="Text">What comes next: whole characters.</param>
/// <param name="FinishReason">Why the text ended; only in its last event.</param>
internal sealed record GeneratedPiece(string Text, GenerationFinishReason? FinishReason);
