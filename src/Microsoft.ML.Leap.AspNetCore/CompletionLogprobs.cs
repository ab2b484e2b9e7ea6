namespace Microsoft.ML.Leap;

/// <summary>The probabilities of a text's tokens as OpenAI's API tells them.</summary>
/// <param name="Tokens">The tokens' texts; bytes that are no whole characters are written as <c>&lt;0xE2&gt;</c>.</param>
/// <param name="LogProbabilities">Natural logarithms.</param>
/// <param name="TopLogprobs">The likeliest tokens, and the token itself, by their texts.</param>
/// <param name="TextOffset">Where each token begins in the text, in Unicode characters.</param>
internal sealed record TokenLogprobs(
    IReadOnlyList<string> Tokens,
    [property: System.Text.Json.Serialization.JsonPropertyName("token_logprobs")] IReadOnlyList<double?> LogProbabilities,
    IReadOnlyList<IReadOnlyDictionary<string, double?>> TopLogprobs,
    IReadOnlyList<int> TextOffset);

/// <summary>Gathers the probabilities of one text's tokens.</summary>
internal sealed class CompletionLogprobs(LeapTokenizer tokenizer)
{
    // JSON has no infinity.
    private const double Impossible = -9999;

    private List<(string Text, double? LogProbability, Dictionary<string, double?> Top, int Offset)> _tokens = [];
    private int _offset;

    /// <summary>Adds the tokens of a prompt.</summary>
    public void Add(RequestText prompt, IReadOnlyList<ScoredToken> scores)
    {
        (int Start, int Length)[] spans = [.. tokenizer.FindSpans(prompt.Text, prompt.Ids)];
        int counted = 0;
        for (int i = 0; i < scores.Count; i++)
        {
            _offset += CountCharacters(prompt.Text.AsSpan(counted, spans[i].Start - counted));
            counted = spans[i].Start;
            Add(scores[i].Id, scores[i].LogProbability, scores[i].Alternatives);
        }

        _offset += CountCharacters(prompt.Text.AsSpan(counted));
    }

    /// <summary>Adds a token that was made.</summary>
    public void Add(GeneratedToken token)
    {
        Add(token.Id, token.LogProbability, token.Alternatives);
        _offset += CountCharacters(token.Text);
    }

    /// <summary>Gives what was added since the last call.</summary>
    public TokenLogprobs Take()
    {
        List<(string Text, double? LogProbability, Dictionary<string, double?> Top, int Offset)> tokens = _tokens;
        _tokens = [];
        return new TokenLogprobs(
            [.. tokens.Select(token => token.Text)], [.. tokens.Select(token => token.LogProbability)], [.. tokens.Select(token => token.Top)],
            [.. tokens.Select(token => token.Offset)]);
    }

    /// <summary>Puts the parts of one text together.</summary>
    public static TokenLogprobs? Join(IEnumerable<TokenLogprobs?> parts)
    {
        TokenLogprobs[] all = [.. parts.OfType<TokenLogprobs>()];
        return all.Length == 0 ? null : new TokenLogprobs(
            [.. all.SelectMany(part => part.Tokens)], [.. all.SelectMany(part => part.LogProbabilities)],
            [.. all.SelectMany(part => part.TopLogprobs)], [.. all.SelectMany(part => part.TextOffset)]);
    }

    private void Add(int id, double logProbability, IReadOnlyList<TokenLogProbability> alternatives)
    {
        string text = tokenizer.GetTokenText(id);
        var top = new Dictionary<string, double?>();

        // Different tokens may be written alike: the likelier stands for them.
        foreach (TokenLogProbability alternative in alternatives)
            top.TryAdd(alternative.Text, ToNumber(alternative.LogProbability));
        top.TryAdd(text, ToNumber(logProbability));
        _tokens.Add((text, ToNumber(logProbability), top, _offset));
    }

    private static double? ToNumber(double value) => double.IsNegativeInfinity(value) ? Impossible : double.IsFinite(value) ? value : null;

    private static int CountCharacters(ReadOnlySpan<char> text)
    {
        int count = 0;
        foreach (System.Text.Rune _ in text.EnumerateRunes())
            count++;
        return count;
    }
}
