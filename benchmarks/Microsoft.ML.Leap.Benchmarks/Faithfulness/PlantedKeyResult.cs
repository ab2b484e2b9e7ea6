namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>How models answer a question about a key so many tokens back.</summary>
/// <param name="Distance">Places from the key to the question.</param>
/// <param name="AccuracyGlobal">Part of right answers of a model whose last layer is global.</param>
/// <param name="AccuracyLocalOnly">Part of right answers of one with windows alone.</param>
/// <param name="Chance">Part of right answers of a guess.</param>
/// <param name="KeyShare">The key's share in the question's window, in the global layer's head where it is greatest.</param>
/// <param name="EvenShare">The share of each token if all were equal.</param>
internal sealed record PlantedKeyResult(
    int Distance, double AccuracyGlobal, double AccuracyLocalOnly, double Chance, double KeyShare, double EvenShare);
