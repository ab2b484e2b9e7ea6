namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Seconds that the parts of one LEAP training step take, each measured by itself, forward and backward.</summary>
/// <param name="Attention">The attention of all layers, from the projected vectors on.</param>
/// <param name="BlockProducts">The matrix products and the GELU of all layers.</param>
/// <param name="HeadAndLoss">The output layer and the cross-entropy.</param>
/// <param name="OptimizerAndClipping">The gradient's norm, its clipping, and AdamW.</param>
internal sealed record PartTimes(double Attention, double BlockProducts, double HeadAndLoss, double OptimizerAndClipping)
{
    public double Sum => Attention + BlockProducts + HeadAndLoss + OptimizerAndClipping;
}
