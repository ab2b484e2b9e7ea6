namespace Microsoft.ML.Leap;

/// <summary>A text to continue, one of several. Immutable, and therefore thread-safe.</summary>
/// <param name="Prompt">The text; empty for a text from its beginning.</param>
/// <param name="Options">How to continue it; <see langword="null"/> for the options that the model was made with.</param>
public sealed record GenerationRequest(string Prompt, GenerationOptions? Options = null);
