using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>How a text is continued. Immutable, and therefore thread-safe.</summary>
/// <remarks>What changes the model's choice is applied in this order: repetition, presence and frequency penalty, <see cref="LogitBias"/>,
/// <see cref="BannedTokens"/>, <see cref="Temperature"/>, <see cref="TopK"/>, <see cref="TopP"/>, <see cref="MinP"/>, <see cref="TypicalP"/>; each
/// of the last four works on the probabilities that those before it left.</remarks>
/// <example><code>new GenerationOptions { MaximumNewTokens = 100, Temperature = 0.8, TopK = 40, Seed = 1 }</code></example>
public sealed record GenerationOptions
{
    /// <summary>More alternatives than this are no longer likely.</summary>
    internal const int MaximumLogProbabilityCount = 20;

    private readonly int _maximumNewTokens = 64;
    private readonly int _minimumNewTokens;
    private readonly double _temperature = 1;
    private readonly int _topK;
    private readonly double _topP = 1;
    private readonly double _minP;
    private readonly double _typicalP = 1;
    private readonly double _repetitionPenalty = 1;
    private readonly double _presencePenalty;
    private readonly double _frequencyPenalty;
    private readonly int _penaltyWindow = 64;
    private readonly int _logProbabilityCount;
    private readonly PositionPolicy _positionPolicy;
    private readonly Dictionary<int, float> _logitBias = [];
    private readonly int[] _bannedTokens = [];
    private readonly int[] _stopTokens = [];
    private readonly string[] _stopStrings = [];

    /// <summary>Gets the most tokens to add.</summary>
    /// <value>At least 0; 64 by default. Fewer are added when the model ends the text.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int MaximumNewTokens
    {
        get => _maximumNewTokens;
        init => _maximumNewTokens = Checked(value, value >= 0, nameof(MaximumNewTokens), "at least 0");
    }

    /// <summary>Gets the least tokens to add: until then neither an end of text nor a stop token is drawn, and stop strings are not looked for.</summary>
    /// <value>At least 0, the default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int MinimumNewTokens
    {
        get => _minimumNewTokens;
        init => _minimumNewTokens = Checked(value, value >= 0, nameof(MinimumNewTokens), "at least 0");
    }

    /// <summary>Gets the divisor of the logits before a token is drawn: below 1 plays safe, above 1 takes risks.</summary>
    /// <value>At least 0; 1 by default. 0 always takes the likeliest token (greedy).</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double Temperature
    {
        get => _temperature;
        init => _temperature = Checked(value, double.IsFinite(value) && value >= 0, nameof(Temperature), "at least 0 and finite");
    }

    /// <summary>Gets how many of the likeliest tokens may be drawn.</summary>
    /// <value>At least 0; 0, the default, allows all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int TopK
    {
        get => _topK;
        init => _topK = Checked(value, value >= 0, nameof(TopK), "at least 0");
    }

    /// <summary>Gets the probability that the likeliest tokens, as few as are needed, must reach together; others are not drawn (nucleus sampling, Holtzman et al. 2020).</summary>
    /// <value>Over 0, at most 1; 1, the default, allows all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double TopP
    {
        get => _topP;
        init => _topP = Checked(value, value > 0 && value <= 1, nameof(TopP), "over 0 and at most 1");
    }

    /// <summary>Gets the least probability of a token that may be drawn, as a share of the likeliest one's (Nguyen et al. 2024).</summary>
    /// <value>At least 0, at most 1; 0, the default, allows all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double MinP
    {
        get => _minP;
        init => _minP = Checked(value, value >= 0 && value <= 1, nameof(MinP), "at least 0 and at most 1");
    }

    /// <summary>Gets the probability that the most typical tokens must reach together, those whose surprise is nearest to the expected one; others are not drawn (locally typical sampling, Meister et al. 2023).</summary>
    /// <value>Over 0, at most 1; 1, the default, allows all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double TypicalP
    {
        get => _typicalP;
        init => _typicalP = Checked(value, value > 0 && value <= 1, nameof(TypicalP), "over 0 and at most 1");
    }

    /// <summary>Gets what the logits of tokens in the <see cref="PenaltyWindow"/> are divided by where positive, and multiplied by where negative (Keskar et al. 2019).</summary>
    /// <value>Over 0; 1, the default, changes nothing, more makes repetition rarer.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double RepetitionPenalty
    {
        get => _repetitionPenalty;
        init => _repetitionPenalty = Checked(value, double.IsFinite(value) && value > 0, nameof(RepetitionPenalty), "over 0 and finite");
    }

    /// <summary>Gets what is subtracted from the logit of each token in the <see cref="PenaltyWindow"/>.</summary>
    /// <value>Finite; 0 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double PresencePenalty
    {
        get => _presencePenalty;
        init => _presencePenalty = Checked(value, double.IsFinite(value), nameof(PresencePenalty), "finite");
    }

    /// <summary>Gets what is subtracted from the logit of each token in the <see cref="PenaltyWindow"/> for each time that it is there.</summary>
    /// <value>Finite; 0 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public double FrequencyPenalty
    {
        get => _frequencyPenalty;
        init => _frequencyPenalty = Checked(value, double.IsFinite(value), nameof(FrequencyPenalty), "finite");
    }

    /// <summary>Gets how many of the last tokens, those of the prompt included, the penalties look at.</summary>
    /// <value>At least 0; 64 by default. They know no more of a prompt than the context.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int PenaltyWindow
    {
        get => _penaltyWindow;
        init => _penaltyWindow = Checked(value, value >= 0, nameof(PenaltyWindow), "at least 0");
    }

    /// <summary>Gets how many of the likeliest tokens each added token reports as alternatives.</summary>
    /// <value>At least 0, the default, and at most 20.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int LogProbabilityCount
    {
        get => _logProbabilityCount;
        init => _logProbabilityCount = Checked(value, value is >= 0 and <= MaximumLogProbabilityCount, nameof(LogProbabilityCount), "at least 0 and at most 20");
    }

    /// <summary>Gets what is added to the logits of single tokens.</summary>
    /// <value>Finite numbers by token id; none by default. Copied.</value>
    /// <exception cref="ArgumentNullException">The value is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is not finite, or an id negative.</exception>
    public IReadOnlyDictionary<int, float> LogitBias
    {
        get => _logitBias;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(LogitBias));
            foreach ((int id, float bias) in value)
                Checked(bias, float.IsFinite(bias) && id >= 0, nameof(LogitBias), "finite for ids of at least 0");
            _logitBias = new Dictionary<int, float>(value);
        }
    }

    /// <summary>Gets the tokens that are never drawn.</summary>
    /// <value>Token ids; none by default. Copied.</value>
    /// <exception cref="ArgumentNullException">The value is <see langword="null"/>.</exception>
    public IReadOnlyList<int> BannedTokens
    {
        get => _bannedTokens;
        init => _bannedTokens = Copied(value, nameof(BannedTokens));
    }

    /// <summary>Gets the tokens that end the text, besides the end-of-text token. They are no part of it.</summary>
    /// <value>Token ids; none by default. Copied.</value>
    /// <exception cref="ArgumentNullException">The value is <see langword="null"/>.</exception>
    public IReadOnlyList<int> StopTokens
    {
        get => _stopTokens;
        init => _stopTokens = Copied(value, nameof(StopTokens));
    }

    /// <summary>Gets the strings that end the text wherever they come up in it, however they are split into tokens. They are no part of
    /// it.</summary>
    /// <value>Strings, none of them empty; none by default. Copied.</value>
    /// <exception cref="ArgumentNullException">The value is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">A string is empty.</exception>
    public IReadOnlyList<string> StopStrings
    {
        get => _stopStrings;
        init
        {
            _stopStrings = Copied(value, nameof(StopStrings));
            foreach (string stop in _stopStrings)
                ArgumentException.ThrowIfNullOrEmpty(stop, nameof(StopStrings));
        }
    }

    /// <summary>Gets what happens where a text reaches past <see cref="LeapConfig.ContextLength"/>.</summary>
    /// <value><see cref="PositionPolicy.Throw"/> by default. Models without position embeddings never need it.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is none of the named ones.</exception>
    public PositionPolicy PositionPolicy
    {
        get => _positionPolicy;
        init => _positionPolicy = Checked(value, Enum.IsDefined(value), nameof(PositionPolicy), "one of its named values");
    }

    /// <summary>Gets the seed of the draws: the same seed, model and prompt give the same text.</summary>
    /// <value>Any number; <see langword="null"/>, the default, for a new one each call. In a pipeline's column, where values must repeat,
    /// <see langword="null"/> stands for a seed that was chosen once and is saved with the model.</value>
    public int? Seed { get; init; }

    /// <summary>Tells whether all values are the same, those of collections included.</summary>
    /// <param name="other">Other options.</param>
    /// <returns>Whether they are equal.</returns>
    public bool Equals(GenerationOptions? other) =>
        other is not null
        && Scalars.Equals(other.Scalars)
        && _bannedTokens.AsSpan().SequenceEqual(other._bannedTokens)
        && _stopTokens.AsSpan().SequenceEqual(other._stopTokens)
        && _stopStrings.AsSpan().SequenceEqual(other._stopStrings)
        && _logitBias.Count == other._logitBias.Count
        && _logitBias.All(pair => other._logitBias.TryGetValue(pair.Key, out float bias) && bias == pair.Value);

    /// <inheritdoc/>
    public override int GetHashCode() => Scalars.GetHashCode();

    private ITuple Scalars => (
        (MaximumNewTokens, MinimumNewTokens, Temperature, TopK, TopP, MinP, TypicalP),
        (RepetitionPenalty, PresencePenalty, FrequencyPenalty, PenaltyWindow, LogProbabilityCount, PositionPolicy, Seed));

    private static T Checked<T>(T value, bool isValid, string name, string expected) =>
        isValid ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be {expected}.");

    private static T[] Copied<T>(IReadOnlyList<T> values, string name)
    {
        ArgumentNullException.ThrowIfNull(values, name);
        return [.. values];
    }
}
