namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a run of the WikiText-2 protocol found.</summary>
public sealed record Wikitext2Report
{
    public required string Model { get; init; }

    /// <summary>The epochs that the learning rate is planned for; there are as many losses as epochs were run.</summary>
    public required int Epochs { get; init; }

    public required int TrainBlocks { get; init; }
    public required int ValidationBlocks { get; init; }

    /// <summary>Nats a token over all validation blocks after each epoch.</summary>
    public required IReadOnlyList<double> ValidationLoss { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>Training and evaluations, in all parts of a resumed run.</summary>
    public required double Seconds { get; init; }

    public required long Parameters { get; init; }
    public required int Seed { get; init; }

    /// <summary>Of matrix products while training.</summary>
    public required string Precision { get; init; }

    public required string Device { get; init; }
    public required int Threads { get; init; }
    public int? TestBlocks { get; init; }
    public double? TestPerplexity { get; init; }
}
