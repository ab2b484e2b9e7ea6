namespace Microsoft.ML.Leap;

/// <summary>How a text is continued. Immutable, and therefore thread-safe.</summary>
/// <example><code>new GenerationOptions { MaximumNewTokens = 100, Temperature = 0.8, TopK = 40, Seed = 1 }</code></example>
public sealed record GenerationOptions
{
    private readonly int _maximumNewTokens = 64;
    private readonly double _temperature = 1;
    private readonly int _topK;

    /// <summary>Gets the most tokens to add.</summary>
    /// <value>At least 0; 64 by default. Fewer are added when the model ends the text.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int MaximumNewTokens
    {
        get => _maximumNewTokens;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value, nameof(MaximumNewTokens));
            _maximumNewTokens = value;
        }
    }

    /// <summary>Gets the divisor of the logits before a token is drawn: below 1 plays safe, above 1 takes risks.</summary>
    /// <value>At least 0; 1 by default. 0 always takes the likeliest token (greedy).</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double Temperature
    {
        get => _temperature;
        init
        {
            if (!double.IsFinite(value) || value < 0)
                throw new ArgumentOutOfRangeException(nameof(Temperature), value, "Temperature must be at least 0 and finite.");
            _temperature = value;
        }
    }

    /// <summary>Gets how many of the likeliest tokens may be drawn.</summary>
    /// <value>At least 0; 0, the default, allows all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int TopK
    {
        get => _topK;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value, nameof(TopK));
            _topK = value;
        }
    }

    /// <summary>Gets the seed of the draws: the same seed, model and prompt give the same text.</summary>
    /// <value>Any number; <see langword="null"/>, the default, for a new one each call. In a pipeline's column, where values must repeat,
    /// <see langword="null"/> stands for a seed that was chosen once and is saved with the model.</value>
    public int? Seed { get; init; }
}
