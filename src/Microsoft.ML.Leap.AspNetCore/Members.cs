using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>The members of a request's body. A member that is null counts as absent; members that nobody asks for are let be, because clients send
/// more as time goes on.</summary>
internal readonly struct Members(JsonElement body)
{
    public JsonElement? Get(string name) =>
        body.TryGetProperty(name, out JsonElement value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;

    /// <exception cref="ApiError">The member is no text.</exception>
    public string? GetText(string name) => Get(name) is { } value ? ToText(value, name) : null;

    /// <exception cref="ApiError">The member is neither true nor false.</exception>
    public bool GetFlag(string name) => Get(name) switch
    {
        null or { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.True } => true,
        _ => throw ApiError.Invalid(name, "must be true or false."),
    };

    /// <exception cref="ApiError">The member is no whole number within the bounds.</exception>
    public int? GetInteger(string name, int least, int most)
    {
        if (Get(name) is not { } value)
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least && number <= most
            ? number
            : throw ApiError.Invalid(name, $"must be a whole number from {least} to {most}.");
    }

    /// <exception cref="ApiError">The member is no number within the bounds.</exception>
    public double GetNumber(string name, double least, double most, double absent)
    {
        if (Get(name) is not { } value)
            return absent;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= least && number <= most
            ? number
            : throw ApiError.Invalid(name, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"must be a number from {least} to {most}."));
    }

    /// <exception cref="ApiError">The member is no text, or holds half a character.</exception>
    public static string ToText(JsonElement value, string name)
    {
        if (value.ValueKind != JsonValueKind.String)
            throw ApiError.Invalid(name, "must be a string.");
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw ApiError.Invalid(name, "holds bytes or an escape that are no whole character.");
        }
    }
}

/// <summary>A text of a request, with its tokens.</summary>
internal sealed record RequestText(string Text, IReadOnlyList<int> Ids)
{
    /// <summary>Reads a text, token ids, or a list of one of them, as OpenAI's API takes them.</summary>
    /// <exception cref="ApiError">The value is nothing of that, or too much.</exception>
    public static RequestText[] ReadAll(JsonElement value, string name, CallContext context)
    {
        LeapTokenizer tokenizer = context.Model.Tokenizer;
        JsonElement[] items = value.ValueKind == JsonValueKind.Array && !IsIds(value) ? [.. value.EnumerateArray()] : [value];
        if (items.Length == 0)
            throw ApiError.Invalid(name, "must not be an empty array.");
        if (items.Length > context.Options.Texts)
            throw ApiError.Invalid(name, $"may have at most {context.Options.Texts} texts, but has {items.Length}.");

        // The lengths come first: what is too long is not worth encoding.
        string?[] texts = [.. items.Select(item => item.ValueKind switch
        {
            JsonValueKind.String => Members.ToText(item, name),
            JsonValueKind.Array => null,
            _ => throw ApiError.Invalid(name, "must be a string, an array of strings, an array of token ids, or an array of such arrays."),
        })];
        RequireLength(texts.Sum(text => (long)(text?.Length ?? 0)), name, context.Options);
        RequestText[] read = [.. items.Zip(texts, (item, text) => text is null ? ReadIds(item, name, tokenizer) : new RequestText(text, tokenizer.Encode(text)))];
        long tokens = read.Sum(text => (long)text.Ids.Count);
        return tokens <= context.Options.PromptTokens
            ? read
            : throw ApiError.Invalid(name, $"may have at most {context.Options.PromptTokens} tokens in all, but has {tokens}.");
    }

    /// <exception cref="ApiError">The texts are too long.</exception>
    public static void RequireLength(long characters, string name, LeapServerOptions options)
    {
        if (characters > options.Characters)
            throw ApiError.Invalid(name, $"may have at most {options.Characters} characters in all, but has {characters}.");
    }

    private static bool IsIds(JsonElement array) => array.GetArrayLength() > 0 && array[0].ValueKind == JsonValueKind.Number;

    private static RequestText ReadIds(JsonElement array, string name, LeapTokenizer tokenizer)
    {
        int[] ids = [.. array.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int id) && (uint)id < (uint)tokenizer.VocabularySize
                ? id
                : throw ApiError.Invalid(name, $"must hold whole numbers from 0 to {tokenizer.VocabularySize - 1} where it holds token ids."))];
        return new RequestText(tokenizer.Decode(ids), ids);
    }
}
