namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Mean losses in nats a character.</summary>
internal sealed record PositionsReport
{
    public required int Steps { get; init; }
    public required int ContextLength { get; init; }
    public required int Characters { get; init; }
    public required double BlocksWithPositions { get; init; }
    public required double Restart { get; init; }
    public required double Clamp { get; init; }
    public required double BlocksWithoutPositions { get; init; }
    public required double RestartWithoutPositions { get; init; }
    public required double EndlessWithoutPositions { get; init; }
}
