namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What one micro-benchmark took.</summary>
internal sealed record MicroResult(string Benchmark, string Parameters, double MeanMicroseconds, double ErrorMicroseconds);
