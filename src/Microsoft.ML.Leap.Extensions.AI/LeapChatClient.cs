using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace Microsoft.ML.Leap;

/// <summary>A chat client over a LEAP language model: it makes messages one text, which the model continues.</summary>
/// <remarks>
/// <para>The client follows these <see cref="ChatOptions"/>: <see cref="ChatOptions.Temperature"/>, <see cref="ChatOptions.TopP"/>,
/// <see cref="ChatOptions.TopK"/>, <see cref="ChatOptions.Seed"/>, <see cref="ChatOptions.MaxOutputTokens"/>,
/// <see cref="ChatOptions.StopSequences"/>, <see cref="ChatOptions.PresencePenalty"/>, <see cref="ChatOptions.FrequencyPenalty"/>, and
/// <see cref="ChatOptions.Instructions"/> as a system message before all others. It refuses tools, and a response format other than text, and
/// ignores the rest, for which the model has no use.</para>
/// <para>Thread-safe, except for <see cref="Dispose"/>.</para>
/// </remarks>
public sealed class LeapChatClient : IChatClient
{
    private readonly LeapLanguageModel _model;
    private readonly LeapChatClientOptions _options;
    private readonly ChatClientMetadata _metadata;

    /// <summary>Makes a client.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How to answer; <see langword="null"/> for the defaults.</param>
    /// <exception cref="ArgumentNullException"><paramref name="model"/> is <see langword="null"/>.</exception>
    public LeapChatClient(LeapLanguageModel model, LeapChatClientOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        _model = model;
        _options = options ?? new LeapChatClientOptions();
        _metadata = new ChatClientMetadata("leap", null, _options.ModelId);
    }

    /// <summary>Continues a conversation.</summary>
    /// <param name="messages">Its messages, texts alone.</param>
    /// <param name="options">How to continue it; what they leave open follows <see cref="LeapChatClientOptions.Generation"/>.</param>
    /// <param name="cancellationToken">Ends the call early with an exception.</param>
    /// <returns>One message of the assistant, with the count of tokens and the reason why it ended.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="messages"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range.</exception>
    /// <exception cref="NotSupportedException">The options ask for tools or a response format, or a message holds more than text.</exception>
    /// <exception cref="InvalidOperationException">The conversation reaches past the model's context, and its
    /// <see cref="GenerationOptions.PositionPolicy"/> is <see cref="PositionPolicy.Throw"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        (string prompt, GenerationOptions generation) = Prepare(messages, options);
        return Task.Run(
            () =>
            {
                GenerationResult result = _model.Complete(prompt, generation, cancellationToken);
                return new ChatResponse(new ChatMessage(ChatRole.Assistant, result.Text) { MessageId = NewId() })
                {
                    ResponseId = NewId(),
                    ModelId = _options.ModelId,
                    CreatedAt = DateTimeOffset.UtcNow,
                    FinishReason = Reason(result.FinishReason),
                    Usage = Usage(result.PromptTokenCount, result.Tokens.Count),
                };
            },
            cancellationToken);
    }

    /// <summary>Continues a conversation, and gives the text as it comes.</summary>
    /// <returns>Pieces of the assistant's message; the last one holds the reason why it ended and the count of tokens.</returns>
    /// <inheritdoc cref="GetResponseAsync"/>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        (string prompt, GenerationOptions generation) = Prepare(messages, options);
        return Stream(prompt, generation, cancellationToken);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null)
            return null;
        if (serviceType == typeof(ChatClientMetadata))
            return _metadata;
        return serviceType.IsInstanceOfType(_model) ? _model : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Disposes the model where <see cref="LeapChatClientOptions.OwnsModel"/> says so.</summary>
    public void Dispose()
    {
        if (_options.OwnsModel)
            _model.Dispose();
    }

    private async IAsyncEnumerable<ChatResponseUpdate> Stream(
        string prompt, GenerationOptions generation, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string responseId = NewId();
        string messageId = NewId();
        int count = 0;
        GenerationFinishReason reason = GenerationFinishReason.MaximumNewTokens;
        await foreach (GeneratedToken token in _model.GenerateTokensAsync(prompt, generation, cancellationToken).ConfigureAwait(false))
        {
            count++;
            reason = token.FinishReason ?? reason;
            if (token.Text.Length > 0)
                yield return Update(new TextContent(token.Text));
        }

        ChatResponseUpdate last = Update(new UsageContent(Usage(_model.Tokenizer.Encode(prompt).Count, count)));
        last.FinishReason = Reason(reason);
        yield return last;

        ChatResponseUpdate Update(AIContent content) => new(ChatRole.Assistant, [content])
        {
            ResponseId = responseId,
            MessageId = messageId,
            ModelId = _options.ModelId,
            CreatedAt = DateTimeOffset.UtcNow,
        };
    }

    private (string Prompt, GenerationOptions Generation) Prepare(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ChatMessage[] all = options?.Instructions is string instructions ? [new ChatMessage(ChatRole.System, instructions), .. messages] : [.. messages];
        foreach (AIContent content in all.SelectMany(message => message.Contents))
        {
            if (content is not TextContent)
                throw new NotSupportedException($"The model reads text alone, but a message holds {content.GetType().Name}.");
        }

        return (_options.Template(all), ChatOptionsMap.Apply(options, _options.Generation ?? _model.DefaultGeneration));
    }

    private static string NewId() => Guid.NewGuid().ToString("N");

    private static ChatFinishReason Reason(GenerationFinishReason reason) =>
        reason == GenerationFinishReason.MaximumNewTokens ? ChatFinishReason.Length : ChatFinishReason.Stop;

    private static UsageDetails Usage(int input, int output) =>
        new() { InputTokenCount = input, OutputTokenCount = output, TotalTokenCount = (long)input + output };
}

/// <summary>How a <see cref="LeapChatClient"/> answers. Immutable, and as thread-safe as its <see cref="Template"/>.</summary>
public sealed record LeapChatClientOptions
{
    /// <summary>Gets what makes the prompt of a conversation's messages.</summary>
    /// <value><see cref="PlainText"/> by default. A model that learned from conversations wants the form that it learned them in.</value>
    public Func<IEnumerable<ChatMessage>, string> Template { get; init; } = PlainText;

    /// <summary>Gets how texts are continued where a call's <see cref="ChatOptions"/> say nothing.</summary>
    /// <value><see langword="null"/>, the default, for the model's own <see cref="LeapLanguageModel.DefaultGeneration"/>.</value>
    public GenerationOptions? Generation { get; init; }

    /// <summary>Gets the name that responses give the model.</summary>
    /// <value>"leap" by default.</value>
    public string ModelId { get; init; } = "leap";

    /// <summary>Gets whether the client disposes the model with itself.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool OwnsModel { get; init; }

    /// <summary>Joins the messages' texts, in their order and without their roles, by line breaks.</summary>
    /// <param name="messages">A conversation's messages.</param>
    /// <returns>The prompt; the last message has no line break after it, so that the model goes on with it.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="messages"/> is <see langword="null"/>.</exception>
    public static string PlainText(IEnumerable<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return string.Join('\n', messages.Select(message => message.Text));
    }
}

/// <summary>Makes chat clients of language models.</summary>
public static class LeapChatClientExtensions
{
    /// <summary>Makes a chat client over a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How to answer; <see langword="null"/> for the defaults.</param>
    /// <returns>The client. It does not dispose the model unless the options say so.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="model"/> is <see langword="null"/>.</exception>
    public static IChatClient AsIChatClient(this LeapLanguageModel model, LeapChatClientOptions? options = null) =>
        new LeapChatClient(model, options);
}

/// <summary>Chat options as generation options.</summary>
internal static class ChatOptionsMap
{
    /// <summary>Gives the generation options with what chat options say in place of theirs.</summary>
    /// <exception cref="NotSupportedException">The options ask for what a language model of this kind cannot do.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range.</exception>
    public static GenerationOptions Apply(ChatOptions? options, GenerationOptions generation)
    {
        if (options is null)
            return generation;
        if (options.Tools is { Count: > 0 })
            throw new NotSupportedException("The model cannot call tools: leave ChatOptions.Tools empty.");
        if (options.ResponseFormat is not (null or ChatResponseFormatText))
            throw new NotSupportedException("The model writes plain text alone: leave ChatOptions.ResponseFormat out, or set it to text.");

        return generation with
        {
            Temperature = options.Temperature ?? generation.Temperature,
            TopP = options.TopP ?? generation.TopP,
            TopK = options.TopK ?? generation.TopK,
            Seed = options.Seed is long seed ? unchecked((int)(seed ^ (seed >> 32))) : generation.Seed,
            MaximumNewTokens = options.MaxOutputTokens ?? generation.MaximumNewTokens,
            StopStrings = options.StopSequences is { } stops ? [.. stops] : generation.StopStrings,
            PresencePenalty = options.PresencePenalty ?? generation.PresencePenalty,
            FrequencyPenalty = options.FrequencyPenalty ?? generation.FrequencyPenalty,
        };
    }
}
