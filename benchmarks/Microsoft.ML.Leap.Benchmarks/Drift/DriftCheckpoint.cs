namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The largest absolute errors over the last steps up to one.</summary>
/// <param name="Step">The last of these steps.</param>
/// <param name="MeansErrors">Of the focused means, by layer.</param>
/// <param name="HiddenError">Of what the output layer sees.</param>
/// <param name="LogitsError">Of the logits.</param>
/// <param name="LogitsRootMeanSquareError">The root of the logits' mean squared error.</param>
internal sealed record DriftCheckpoint(
    long Step, IReadOnlyList<double> MeansErrors, double HiddenError, double LogitsError, double LogitsRootMeanSquareError);
