namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The rise of the loss at one fraction of removed tokens, and its 95 % interval over the texts.</summary>
internal sealed record DeletionPoint(double Removed, double Mean, double Low, double High);
