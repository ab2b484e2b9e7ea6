namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a contestant's process says of itself.</summary>
/// <param name="AllocatorSettings">Whether the library's allocator settings are in force.</param>
/// <param name="PeakMegabytes">The most memory that it has held, in megabytes.</param>
internal sealed record ContestantFacts(bool AllocatorSettings, double PeakMegabytes);
