namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The sizes of the generation benchmark; by default those of the original project's experiment.</summary>
internal sealed record GenerationSettings
{
    public int LayerCount { get; init; } = 6;
    public int HiddenSize { get; init; } = 128;
    public int HeadCount { get; init; } = 4;
    public int VocabularySize { get; init; } = 32100;

    /// <summary>Gets the tokens of the prefix that is read anew for each token, and of the shorter cache.</summary>
    public int Context { get; init; } = 2048;

    /// <summary>Gets the tokens of the longer cache.</summary>
    public int LongContext { get; init; } = 16384;

    /// <summary>Gets where tokens are generated, in tokens from the begin.</summary>
    public IReadOnlyList<int> Positions { get; init; } = [100, 10_000, 1_000_000];

    public int Rounds { get; init; } = 15;

    /// <summary>Gets LEAP's shape. It has no learned positions: they would end at the context's length.</summary>
    public LeapConfig Leap => new(VocabularySize, HiddenSize, Context, LayerCount, HeadCount, usePositionEmbeddings: false);

    /// <summary>Gets GPT-2's shape.</summary>
    /// <param name="length">The most tokens of a text.</param>
    public LeapConfig Gpt2(int length) => new(VocabularySize, HiddenSize, length, LayerCount, HeadCount);
}
