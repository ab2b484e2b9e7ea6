using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a run of the WikiText-2 protocol may choose.</summary>
internal sealed record Wikitext2Settings
{
    /// <summary>The folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz.</summary>
    public required string Folder { get; init; }

    public string? TestFile { get; init; }
    public required LeapTokenizer Tokenizer { get; init; }
    public required string Model { get; init; }
    public required Device Device { get; init; }
    public required TrainingPrecision Precision { get; init; }

    /// <summary>The epochs that the learning rate is planned for.</summary>
    public required int Epochs { get; init; }

    /// <summary>The epochs that are run of them; <see langword="null"/> for all.</summary>
    public int? StopAfter { get; init; }

    public string? CheckpointFolder { get; init; }
    public required int Seed { get; init; }

    /// <summary>The network by vocabulary: the original's sizes are the library's defaults. Its context is the blocks' length.</summary>
    public Func<int, LeapConfig> Config { get; init; } = vocabularySize => new LeapConfig(vocabularySize);
}
