using Microsoft.Extensions.AI;

namespace Microsoft.ML.Leap;

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
