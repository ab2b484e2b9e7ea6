namespace Microsoft.ML.Leap;

/// <summary>How a <see cref="LeapLanguageModel"/> is held and computed. Immutable, and therefore thread-safe.</summary>
public sealed record LeapLanguageModelOptions
{
    private readonly int? _threadCount;
    private readonly WeightFormat _weightFormat;
    private readonly GenerationOptions _generation = new();

    /// <summary>Gets the most threads that one call computes with. Results do not depend on it.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, for as many as there are processors. In a browser it is always 1.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public int? ThreadCount
    {
        get => _threadCount;
        init
        {
            if (value is int count)
                ArgumentOutOfRangeException.ThrowIfLessThan(count, 1, nameof(ThreadCount));
            _threadCount = value;
        }
    }

    /// <summary>Gets how the matrices are held in memory, whatever the format of the file.</summary>
    /// <value><see cref="WeightFormat.Float32"/> by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is none of its names.</exception>
    public WeightFormat WeightFormat
    {
        get => _weightFormat;
        init => _weightFormat = Enum.IsDefined(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(WeightFormat), value, "WeightFormat must be one of its named values.");
    }

    /// <summary>Gets whether the n-grams that were counted in the training texts, where the model has some, and what a text itself said before predict
    /// beside the network.</summary>
    /// <value><see langword="true"/> by default; <see langword="false"/> for the network alone, which then saves without them.</value>
    public bool UseMemory { get; init; } = true;

    /// <summary>Gets how texts are continued where a call says nothing.</summary>
    /// <value>The defaults of <see cref="GenerationOptions"/>.</value>
    /// <exception cref="ArgumentNullException">The value is <see langword="null"/>.</exception>
    public GenerationOptions Generation
    {
        get => _generation;
        init
        {
            ArgumentNullException.ThrowIfNull(value, nameof(Generation));
            _generation = value;
        }
    }
}
