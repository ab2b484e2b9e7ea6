namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "shakespeare" found.</summary>
internal sealed record ShakespeareReport
{
    public required string Model { get; init; }

    /// <summary>Nats a character over the whole validation split, each character predicted once.</summary>
    public required double ValidationLoss { get; init; }

    public required long ValidationCharacters { get; init; }
    public required int VocabularySize { get; init; }
    public required long Parameters { get; init; }
    public required int Steps { get; init; }
    public required double LearningRate { get; init; }
    public required int Seed { get; init; }

    /// <summary>Training and evaluations together.</summary>
    public required double Seconds { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>Of matrix products while training.</summary>
    public required string Precision { get; init; }

    public required string Device { get; init; }
    public required int Threads { get; init; }
}
