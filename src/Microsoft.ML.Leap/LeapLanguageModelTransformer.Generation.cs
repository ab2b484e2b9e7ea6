namespace Microsoft.ML.Leap;

/// <content>The common calls of <see cref="Model"/>.</content>
public sealed partial class LeapLanguageModelTransformer
{
    /// <summary>Gets the options that the model was made with, for calls that name none.</summary>
    public GenerationOptions DefaultGeneration => Model.DefaultGeneration;

    /// <inheritdoc cref="LeapLanguageModel.Generate(string, GenerationOptions, CancellationToken)"/>
    public string Generate(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Generate(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.Complete(string, GenerationOptions, CancellationToken)"/>
    public GenerationResult Complete(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Complete(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.CompleteAll(IReadOnlyList{GenerationRequest}, CancellationToken)"/>
    public IReadOnlyList<GenerationResult> CompleteAll(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellationToken = default) =>
        Model.CompleteAll(requests, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.Continue(GenerationState, GenerationOptions, CancellationToken)"/>
    public GenerationResult Continue(GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Continue(state, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.GenerateTokensAsync(string, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.GenerateTokensAsync(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.ContinueAsync(GenerationState, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<GeneratedToken> ContinueAsync(GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.ContinueAsync(state, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.GenerateTextAsync(string, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<string> GenerateTextAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.GenerateTextAsync(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.CreateGenerationState(string, PositionPolicy)"/>
    public GenerationState CreateGenerationState(string prompt = "", PositionPolicy positionPolicy = PositionPolicy.Throw) =>
        Model.CreateGenerationState(prompt, positionPolicy);

    /// <inheritdoc cref="LeapLanguageModel.LoadGenerationState(Stream)"/>
    public GenerationState LoadGenerationState(Stream stream) =>
        Model.LoadGenerationState(stream);

    /// <inheritdoc cref="LeapLanguageModel.Explain(string)"/>
    public FocusReport Explain(string text) => Model.Explain(text);

    /// <inheritdoc cref="LeapLanguageModel.Explain(string, string)"/>
    public FocusReport Explain(string prompt, string continuation) => Model.Explain(prompt, continuation);
}
