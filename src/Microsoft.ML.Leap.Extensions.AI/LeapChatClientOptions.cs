using Microsoft.Extensions.AI;

namespace Microsoft.ML.Leap;

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
