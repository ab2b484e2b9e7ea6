namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The matrix products of one LEAP training step, in floating-point operations.</summary>
internal static class ProductWork
{
    // Forward, and backward once for the gradient of each factor.
    private const double Passes = 3;

    /// <summary>Counts projections (d x 4d), boom (d x 4d) and unboom (4d x d) of each layer, and the output layer (d x V); an addition
    /// and a multiplication are two operations.</summary>
    public static double OperationsAStep(TrainingShape shape)
    {
        double d = shape.HiddenSize;
        double aToken = shape.LayerCount * 12 * d * d + d * shape.VocabularySize;
        return 2 * Passes * aToken * shape.TokensAStep;
    }
}
