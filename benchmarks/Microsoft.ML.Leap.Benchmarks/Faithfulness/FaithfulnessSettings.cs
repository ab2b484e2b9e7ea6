namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The sizes of the verb "faithfulness".</summary>
internal sealed record FaithfulnessSettings
{
    public required FileInfo? Texts { get; init; }
    public required int Characters { get; init; }
    public required int TextCount { get; init; }
    public required int ContextLength { get; init; }
    public required int PlantedSteps { get; init; }
    public required int[] Distances { get; init; }
    public required int Sequences { get; init; }
    public required FileInfo? Picture { get; init; }
    public required int Seed { get; init; }
}
