using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>The body of <c>POST /v1/completions</c>.</summary>
/// <param name="Prompts">The texts to continue.</param>
/// <param name="Count">How many continuations each gets.</param>
/// <param name="Generation">How to continue them; without a seed where the client gave none.</param>
/// <param name="IsEchoed">Whether an answer begins with its prompt.</param>
/// <param name="Alternatives">How many alternatives each token tells; null where nobody asks for probabilities.</param>
/// <param name="IsStreamed">Whether the answer comes token by token.</param>
/// <param name="IncludesUsage">Whether a stream ends with the count of its tokens.</param>
internal sealed record CompletionRequest(
    RequestText[] Prompts, int Count, GenerationOptions Generation, bool IsEchoed, int? Alternatives, bool IsStreamed, bool IncludesUsage)
{
    // OpenAI's own.
    private const int DefaultNewTokens = 16;
    private const int MostAlternatives = 20;
    private const int MostStops = 4;
    private const int MostStopLength = 1000;
    private const int MostBiases = 1024;

    public static CompletionRequest Parse(JsonElement body, CallContext context)
    {
        var members = new Members(body);
        LeapServerOptions limits = context.Options;
        Models.Require(members, context);
        if (members.Get("suffix") is { } suffix && !(suffix.ValueKind == JsonValueKind.String && suffix.ValueEquals("")))
            throw ApiError.Invalid("suffix", "is not offered: the model reads from left to right and knows nothing of what follows.");
        RequestText[] prompts = members.Get("prompt") is { } prompt ? RequestText.ReadAll(prompt, "prompt", context) : [new RequestText("", [])];

        int count = members.GetInteger("n", 1, limits.Texts) ?? 1;
        if ((long)count * prompts.Length > limits.Texts)
            throw ApiError.Invalid("n", $"times the number of prompts may be at most {limits.Texts}, but is {(long)count * prompts.Length}.");
        if (members.GetInteger("best_of", 1, int.MaxValue) is { } bestOf && bestOf != count)
            throw ApiError.Invalid("best_of", $"must be equal to n, which is {count}: every text that is made is returned.");

        bool isStreamed = members.GetFlag("stream");
        bool includesUsage = GetIncludesUsage(members, isStreamed);
        int? alternatives = members.GetInteger("logprobs", 0, MostAlternatives);
        return new CompletionRequest(
            prompts, count, GetGeneration(members, context, alternatives ?? 0), members.GetFlag("echo"), alternatives, isStreamed, includesUsage);
    }

    private static GenerationOptions GetGeneration(Members members, CallContext context, int alternatives) => new()
    {
        MaximumNewTokens = members.GetInteger("max_tokens", 0, context.Options.NewTokens) ?? Math.Min(DefaultNewTokens, context.Options.NewTokens),
        Temperature = members.GetNumber("temperature", 0, 2, absent: 1),

        // 0 leaves the likeliest token alone.
        TopP = Math.Max(double.Epsilon, members.GetNumber("top_p", 0, 1, absent: 1)),
        TopK = members.GetInteger("top_k", 0, int.MaxValue) ?? 0,
        MinP = members.GetNumber("min_p", 0, 1, absent: 0),
        PresencePenalty = members.GetNumber("presence_penalty", -2, 2, absent: 0),
        FrequencyPenalty = members.GetNumber("frequency_penalty", -2, 2, absent: 0),
        LogitBias = GetBias(members, context.Model.Tokenizer.VocabularySize),
        StopStrings = GetStops(members),
        Seed = GetSeed(members),
        LogProbabilityCount = alternatives,

        // A text that reaches past learned positions goes on, instead of ending with an error.
        PositionPolicy = PositionPolicy.Restart,
    };

    private static bool GetIncludesUsage(Members members, bool isStreamed)
    {
        if (members.Get("stream_options") is not { } options)
            return false;
        if (!isStreamed)
            throw ApiError.Invalid("stream_options", "is for streams: set stream to true, or leave it out.");
        return options.ValueKind == JsonValueKind.Object
            ? new Members(options).GetFlag("include_usage")
            : throw ApiError.Invalid("stream_options", "must be an object.");
    }

    // Clients send 64 bits; both halves count.
    private static int? GetSeed(Members members)
    {
        if (members.Get("seed") is not { } seed)
            return null;
        return seed.ValueKind == JsonValueKind.Number && seed.TryGetInt64(out long number)
            ? number is >= int.MinValue and <= int.MaxValue ? (int)number : number.GetHashCode()
            : throw ApiError.Invalid("seed", "must be a whole number of at most 64 bits.");
    }

    private static string[] GetStops(Members members)
    {
        if (members.Get("stop") is not { } stop)
            return [];
        string[] stops = stop.ValueKind == JsonValueKind.Array
            ? [.. stop.EnumerateArray().Select(item => Members.ToText(item, "stop"))]
            : [Members.ToText(stop, "stop")];
        return stops.Length <= MostStops && Array.TrueForAll(stops, text => text.Length is > 0 and <= MostStopLength)
            ? stops
            : throw ApiError.Invalid("stop", $"must be a string, or up to {MostStops} strings, of 1 to {MostStopLength} characters.");
    }

    private static Dictionary<int, float> GetBias(Members members, int vocabularySize)
    {
        Dictionary<int, float> biases = [];
        if (members.Get("logit_bias") is not { } bias)
            return biases;
        if (bias.ValueKind != JsonValueKind.Object || bias.GetPropertyCount() > MostBiases)
            throw ApiError.Invalid("logit_bias", $"must be an object with at most {MostBiases} token ids.");
        foreach (JsonProperty member in bias.EnumerateObject())
        {
            if (!int.TryParse(member.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= vocabularySize)
                throw ApiError.Invalid("logit_bias", $"must name token ids from 0 to {vocabularySize - 1}, but names '{ApiError.Shorten(member.Name)}'.");
            if (member.Value.ValueKind != JsonValueKind.Number || !member.Value.TryGetSingle(out float value) || !(Math.Abs(value) <= 100))
                throw ApiError.Invalid("logit_bias", $"must give each token a number from -100 to 100, but does not give token {id} one.");
            biases[id] = value;
        }

        return biases;
    }
}
