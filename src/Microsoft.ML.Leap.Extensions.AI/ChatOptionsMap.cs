using Microsoft.Extensions.AI;

namespace Microsoft.ML.Leap;

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
