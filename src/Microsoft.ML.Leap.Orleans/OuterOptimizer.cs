using System.Numerics.Tensors;

namespace Microsoft.ML.Leap;

/// <summary>The weights that all workers share, and how their differences change them.</summary>
/// <remarks>
/// <para>DiLoCo (Douillard et al. 2023, arXiv 2311.08105): after a round, with D the mean over the workers of the shared weights w less the worker's,</para>
/// <code>
/// v = momentum v + D
/// w = w - rate (D + momentum v)
/// </code>
/// <para>which is stochastic gradient descent with Nesterov's momentum in the form of Sutskever et al. (2013). The change of w is rounded as it travels to the workers,
/// and w changes by the rounded one, so that it is the same everywhere to the bit; what rounding leaves is added to the next change.</para>
/// </remarks>
internal sealed class OuterOptimizer
{
    private readonly double _rate;
    private readonly double _momentum;
    private readonly DifferenceFormat _format;

    /// <param name="rate">The learning rate.</param>
    /// <param name="momentum">What is left of v after a round.</param>
    /// <param name="format">How changes travel.</param>
    public OuterOptimizer(double rate, double momentum, DifferenceFormat format)
    {
        _rate = rate;
        _momentum = momentum;
        _format = format;
    }

    /// <summary>Takes a step.</summary>
    /// <param name="before">The shared weights, and what belongs to them.</param>
    /// <param name="differences">For each worker, the shared weights less its own, in the order that decides how they round.</param>
    /// <returns>The new ones; and the change, as it travels to the workers.</returns>
    public (OuterWeights After, byte[] Change) Step(OuterWeights before, IReadOnlyList<float[]> differences)
    {
        float[] mean = new float[before.Weights.Length];
        foreach (float[] difference in differences)
            TensorPrimitives.Add(mean, difference, mean);
        TensorPrimitives.Divide(mean, differences.Count, mean);

        float[] velocity = new float[mean.Length];
        float[] change = new float[mean.Length];
        for (int i = 0; i < mean.Length; i++)
        {
            velocity[i] = (float)(_momentum * before.Velocity[i] + mean[i]);
            change[i] = (float)(before.Rest[i] - _rate * (mean[i] + _momentum * velocity[i]));
        }

        byte[] encoded = WeightDifference.Encode(change, _format, out float[] rounded);
        float[] weights = new float[mean.Length];
        TensorPrimitives.Add(before.Weights, rounded, weights);
        TensorPrimitives.Subtract(change, rounded, change);
        return (new OuterWeights(weights, velocity, change), encoded);
    }
}

/// <summary>The shared weights of a run after a round. Immutable.</summary>
/// <param name="Weights">The weights, one tensor after another.</param>
/// <param name="Velocity">The moving sum of mean differences.</param>
/// <param name="Rest">What rounding left of the last change.</param>
internal sealed record OuterWeights(float[] Weights, float[] Velocity, float[] Rest)
{
    /// <summary>Weights before the first round.</summary>
    public static OuterWeights Create(float[] weights) => new(weights, new float[weights.Length], new float[weights.Length]);
}
