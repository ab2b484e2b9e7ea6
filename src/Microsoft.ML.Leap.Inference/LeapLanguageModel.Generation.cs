using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Leap;

/// <content>Continues texts.</content>
public sealed partial class LeapLanguageModel
{
    /// <summary>Gets the options that the model was made with, for calls that name none.</summary>
    public GenerationOptions DefaultGeneration { get; }

    /// <summary>Continues a text.</summary>
    /// <param name="prompt">The text to continue; empty for a text from its beginning.</param>
    /// <param name="options">How to continue it; <see langword="null"/> for <see cref="DefaultGeneration"/>.</param>
    /// <param name="cancellationToken">Ends the call early with an exception.</param>
    /// <returns>The added text, without the prompt.</returns>
    /// <remarks>The prompt is read in one pass; each further token costs the same, wherever it stands.</remarks>
    /// <exception cref="ArgumentNullException"><paramref name="prompt"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An option names a token outside of the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">The text reaches past the context, and the options say
    /// <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public string Generate(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Complete(prompt, options, cancellationToken).Text;

    /// <summary>Continues a text, and tells its tokens and why it ended.</summary>
    /// <returns>The added text with its tokens.</returns>
    /// <inheritdoc cref="Generate"/>
    public GenerationResult Complete(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        CompleteAll([new GenerationRequest(prompt, options)], cancellationToken)[0];

    /// <summary>Continues many texts together, each by its own options.</summary>
    /// <param name="requests">The texts; in any number, since only some are worked on at a time.</param>
    /// <param name="cancellationToken">Ends the call early with an exception.</param>
    /// <returns>A result for each text, in their order: on the CPU, the very text that it gets alone.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="requests"/>, or one of them or its prompt, is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An option names a token outside of the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">A text reaches past the context, and its options say
    /// <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public IReadOnlyList<GenerationResult> CompleteAll(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(requests);
        var texts = new (IReadOnlyList<int> Ids, GenerationOptions Options, int Seed)[requests.Count];
        for (int i = 0; i < texts.Length; i++)
        {
            ArgumentNullException.ThrowIfNull(requests[i], nameof(requests));
            ArgumentNullException.ThrowIfNull(requests[i].Prompt, "prompt");
            GenerationOptions options = requests[i].Options ?? DefaultGeneration;
            texts[i] = (Tokenizer.Encode(requests[i].Prompt), options, options.Seed ?? Random.Shared.Next());
        }

        return _generator.Complete(texts, cancellationToken);
    }

    /// <summary>Continues a text that was read before, and leaves its state at the end of the continuation.</summary>
    /// <param name="state">A state of this model. Its <see cref="GenerationState.PositionPolicy"/> holds, not that of the options.</param>
    /// <param name="options">How to continue it; <see langword="null"/> for <see cref="DefaultGeneration"/>.</param>
    /// <param name="cancellationToken">Ends the call early with an exception; the state then stands after the last token that was made.</param>
    /// <returns>The added text with its tokens.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="state"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An option names a token outside of the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">The text reaches past the context, and the state's policy is
    /// <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model or the state is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public GenerationResult Continue(GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(state);
        options ??= DefaultGeneration;
        return _generator.Complete(state, options, options.Seed ?? Random.Shared.Next(), cancellationToken);
    }

    /// <summary>Continues a text, and gives each token as soon as it is there.</summary>
    /// <returns>The tokens. Their texts, one after another, are the added text: a character that is split over tokens comes with the last of
    /// them. Each enumeration is a continuation of its own, may be left half-way, and computes on other threads.</returns>
    /// <inheritdoc cref="Generate"/>
    public IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(prompt);
        options ??= DefaultGeneration;
        TextGenerator generator = _generator;
        return generator.Stream(() => generator.Read(Tokenizer.Encode(prompt), options.PositionPolicy), ownsState: true, options, cancellationToken);
    }

    /// <summary>Continues a text that was read before, and gives each token as soon as it is there.</summary>
    /// <returns>The tokens, as <see cref="GenerateTokensAsync"/> gives them. The state stands after
    /// the last token that was asked for, and is not disposed.</returns>
    /// <inheritdoc cref="Continue"/>
    public IAsyncEnumerable<GeneratedToken> ContinueAsync(
        GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(state);
        return _generator.Stream(() => state, ownsState: false, options ?? DefaultGeneration, cancellationToken);
    }

    /// <summary>Continues a text, and gives its pieces as soon as they are there.</summary>
    /// <returns>Pieces of the added text, none of them empty, each of whole characters.</returns>
    /// <inheritdoc cref="GenerateTokensAsync"/>
    public IAsyncEnumerable<string> GenerateTextAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        GenerateTokensAsync(prompt, options, cancellationToken).Where(token => token.Text.Length > 0).Select(token => token.Text);

    /// <summary>Reads a text that is to be continued, once or many times.</summary>
    /// <param name="prompt">The text; empty for a text from its beginning.</param>
    /// <param name="positionPolicy">What happens where the text reaches past the context.</param>
    /// <returns>The state after the text; the caller disposes it, before the model.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="prompt"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="positionPolicy"/> is none of its values.</exception>
    /// <exception cref="InvalidOperationException">The text reaches past the context, and the policy is
    /// <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A text and tokens are never confused.")]
    public GenerationState CreateGenerationState(string prompt = "", PositionPolicy positionPolicy = PositionPolicy.Throw)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return CreateGenerationState(Tokenizer.Encode(prompt), positionPolicy);
    }

    /// <summary>Reads tokens that are to be continued, once or many times.</summary>
    /// <param name="promptIds">Their ids; none for a text from its beginning.</param>
    /// <param name="positionPolicy">What happens where the text reaches past the context.</param>
    /// <returns>The state after the tokens; the caller disposes it, before the model.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="promptIds"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An id is outside of the vocabulary.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="positionPolicy"/> is none of its values.</exception>
    /// <exception cref="InvalidOperationException">The text reaches past the context, and the policy is
    /// <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A text and tokens are never confused.")]
    public GenerationState CreateGenerationState(IReadOnlyList<int> promptIds, PositionPolicy positionPolicy = PositionPolicy.Throw)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RequireKnown(promptIds, nameof(promptIds));
        if (!Enum.IsDefined(positionPolicy))
            throw new ArgumentOutOfRangeException(nameof(positionPolicy), positionPolicy, "positionPolicy must be one of its named values.");
        return _generator.Read(promptIds, positionPolicy);
    }

    /// <summary>Reads a state that <see cref="GenerationState.Save"/> wrote.</summary>
    /// <param name="stream">The state, at its first byte. The stream stays open.</param>
    /// <returns>The state; the caller disposes it, before the model.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is <see langword="null"/>.</exception>
    /// <exception cref="FormatException">The stream holds no state, a damaged one, or one of another model or kind of device.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public GenerationState LoadGenerationState(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(stream);
        return _generator.Load(stream);
    }
}
