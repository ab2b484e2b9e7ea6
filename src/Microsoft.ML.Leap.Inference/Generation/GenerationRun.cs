namespace Microsoft.ML.Leap;

/// <summary>What is drawn for one continuation, token by token. Not thread-safe.</summary>
internal sealed class GenerationRun
{
    private readonly LeapTokenizer _tokenizer;
    private readonly GenerationOptions _options;
    private readonly TokenSampler _sampler;
    private readonly StreamedText _text;
    private readonly RecentTokens _recent;
    private readonly int[] _enders;
    private int _count;

    /// <param name="tokenizer">The model's.</param>
    /// <param name="options">How to continue.</param>
    /// <param name="seed">Decides the draws.</param>
    /// <param name="promptIds">What the continuation follows, or the last part of it.</param>
    /// <exception cref="ArgumentException">The options name a token outside of the vocabulary.</exception>
    public GenerationRun(LeapTokenizer tokenizer, GenerationOptions options, int seed, ReadOnlySpan<int> promptIds)
    {
        _tokenizer = tokenizer;
        _options = options;
        RequireKnown(options.LogitBias.Keys, nameof(options.LogitBias));
        RequireKnown(options.BannedTokens, nameof(options.BannedTokens));
        RequireKnown(options.StopTokens, nameof(options.StopTokens));
        _sampler = new TokenSampler(options, seed);
        _text = new StreamedText(tokenizer, options.StopStrings, promptIds.IsEmpty);
        _recent = new RecentTokens(Math.Max(1, options.PenaltyWindow));
        _recent.Add(promptIds);
        _enders = [tokenizer.EndOfTextId, .. options.StopTokens];
        if (options.MaximumNewTokens == 0)
            FinishReason = GenerationFinishReason.MaximumNewTokens;
    }

    /// <summary>Gets why the text ended; null while it goes on.</summary>
    public GenerationFinishReason? FinishReason { get; private set; }

    public bool IsFinished => FinishReason is not null;

    /// <summary>Draws the next token.</summary>
    /// <param name="logits">What to draw by; a checkpoint's vocabulary may be padded beyond the tokenizer's ids.</param>
    /// <param name="scored">The model's logits, which the result tells of; empty for those to draw by.</param>
    /// <exception cref="InvalidOperationException">The text has ended, or no token can be drawn.</exception>
    public GeneratedToken Advance(ReadOnlySpan<float> logits, ReadOnlySpan<float> scored = default)
    {
        if (IsFinished)
            throw new InvalidOperationException("The text has ended.");

        scored = scored.IsEmpty ? logits : scored;
        logits = logits[.._tokenizer.VocabularySize];
        bool mayEnd = _count >= _options.MinimumNewTokens;
        int id = _sampler.Draw(logits, _recent.Last(Math.Min(_sampler.RecentCount, _recent.Count)), mayEnd ? [] : _enders);
        _recent.Add([id]);
        _count++;

        bool isEnder = _enders.Contains(id);
        string text = isEnder ? string.Empty : _text.Add(id, _count >= _options.MinimumNewTokens);
        FinishReason = Reason(id, isEnder);
        if (IsFinished)
            text += _text.Complete();

        // What a padded vocabulary has beyond the tokenizer's ids is never drawn, but has its part of the probability, as in scores.
        double logSum = LogProbabilities.LogSum(scored);
        scored = scored[.._tokenizer.VocabularySize];
        return new GeneratedToken(id, text, scored[id] - logSum, Alternatives(scored, logSum), FinishReason);
    }

    private GenerationFinishReason? Reason(int id, bool isEnder)
    {
        if (id == _tokenizer.EndOfTextId)
            return GenerationFinishReason.EndOfText;
        if (isEnder)
            return GenerationFinishReason.StopToken;
        if (_text.IsStopped)
            return GenerationFinishReason.StopString;
        return _count >= _options.MaximumNewTokens ? GenerationFinishReason.MaximumNewTokens : null;
    }

    private TokenLogProbability[] Alternatives(ReadOnlySpan<float> logits, double logSum)
    {
        int[] best = LogProbabilities.Best(logits, _options.LogProbabilityCount);
        var alternatives = new TokenLogProbability[best.Length];
        for (int i = 0; i < best.Length; i++)
            alternatives[i] = new TokenLogProbability(best[i], _tokenizer.GetTokenText(best[i]), logits[best[i]] - logSum);
        return alternatives;
    }

    private void RequireKnown(IEnumerable<int> ids, string option)
    {
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)_tokenizer.VocabularySize)
                throw new ArgumentException($"{option} names the token {id}, but ids are at least 0 and below {_tokenizer.VocabularySize}.", option);
        }
    }
}

/// <summary>The last ids of a text, as many as there is room for.</summary>
internal sealed class RecentTokens(int capacity)
{
    private const int FirstLength = 4096;

    // Grows with the ids up to the capacity: that of an option may be far more than any text has.
    private int[] _ids = new int[Math.Min(capacity, FirstLength)];
    private long _added;

    public int Capacity => capacity;

    public int Count => (int)Math.Min(_added, capacity);

    public long SizeInBytes => (long)_ids.Length * sizeof(int);

    public void Add(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
        {
            if (_added == _ids.Length && _ids.Length < capacity)
                Array.Resize(ref _ids, (int)Math.Min(capacity, 2L * _ids.Length));
            _ids[_added++ % _ids.Length] = id;
        }
    }

    public void Clear() => _added = 0;

    public void CopyFrom(RecentTokens other)
    {
        _ids = [.. other._ids];
        _added = other._added;
    }

    /// <summary>Gives the last <paramref name="count"/> ids, in their order.</summary>
    public int[] Last(int count)
    {
        int[] ids = new int[count];
        for (int i = 0; i < count; i++)
            ids[i] = _ids[(_added - count + i) % _ids.Length];
        return ids;
    }
}

/// <summary>A text to continue, one of several. Immutable, and therefore thread-safe.</summary>
/// <param name="Prompt">The text; empty for a text from its beginning.</param>
/// <param name="Options">How to continue it; <see langword="null"/> for the options that the model was made with.</param>
public sealed record GenerationRequest(string Prompt, GenerationOptions? Options = null);

/// <summary>A finished continuation.</summary>
/// <param name="Text">The added text, without the prompt.</param>
/// <param name="Tokens">The added tokens, with the one that ended the text.</param>
/// <param name="PromptTokenCount">Number of the prompt's tokens.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record GenerationResult(
    string Text, IReadOnlyList<GeneratedToken> Tokens, int PromptTokenCount, GenerationFinishReason FinishReason);

/// <summary>A token that was added to a text.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Text">The text that is certain with this token: whole characters, and nothing that may be the beginning of a stop string; may be empty.
/// The texts of all tokens, one after another, are the added text.</param>
/// <param name="LogProbability">Natural logarithm of the token's probability by the model alone, before penalties, bias and temperature: the one of
/// <see cref="LeapLanguageModel.ScoreTokens"/>. It counts what the text itself said before, which the draw leaves out, or models would repeat
/// themselves.</param>
/// <param name="Alternatives">The likeliest tokens by the model alone, <see cref="GenerationOptions.LogProbabilityCount"/> of them, best
/// first.</param>
/// <param name="FinishReason">Why the text ends with this token; <see langword="null"/> where it goes on.</param>
public sealed record GeneratedToken(
    int Id, string Text, double LogProbability, IReadOnlyList<TokenLogProbability> Alternatives, GenerationFinishReason? FinishReason);

/// <summary>A token that might have come, and how likely the model found it.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Text">Its text, for display, as <see cref="LeapTokenizer.GetTokenText"/> gives it.</param>
/// <param name="LogProbability">Natural logarithm of its probability by the model alone, before penalties, bias and temperature.</param>
public sealed record TokenLogProbability(int Id, string Text, double LogProbability);

/// <summary>Why a continuation ended.</summary>
public enum GenerationFinishReason
{
    /// <summary>The model ended the text.</summary>
    EndOfText,

    /// <summary>One of <see cref="GenerationOptions.StopTokens"/> was drawn.</summary>
    StopToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> came up.</summary>
    StopString,

    /// <summary>There are <see cref="GenerationOptions.MaximumNewTokens"/> tokens.</summary>
    MaximumNewTokens,
}
