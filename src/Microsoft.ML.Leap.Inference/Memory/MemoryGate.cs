namespace Microsoft.ML.Leap;

/// <summary>What is known before a token: how far the memory reaches, and how sure both models are.</summary>
/// <param name="Matched">How many of the last tokens the memory has seen go on.</param>
/// <param name="Left">The memory's probability that what comes next was not seen after them, from 0 to 1.</param>
/// <param name="Confidence">The natural logarithm of the network's greatest probability, at most 0.</param>
internal readonly record struct GateInput(int Matched, float Left, float Confidence);

/// <summary>Decides how much of a token's probability comes from the memory: <c>p = (1 - g) p(network) + g p(memory)</c>, where
/// <c>g = sigmoid(w[matched] + w[n] left + w[n + 1] confidence)</c>, and n is the memory's order. Immutable, and therefore
/// thread-safe.</summary>
internal sealed class MemoryGate
{
    private const int ValuesBesideOrder = 2;
    private const int Rounds = 300;
    private const double Rate = 0.05;

    // Pulls weights to where they begin, as so many tokens would that say nothing else: a few rows must not decide alone.
    private const double Prior = 5;

    private readonly float[] _weights;

    /// <param name="weights">w: one per order, and two.</param>
    /// <exception cref="FormatException">They are too few, or not finite.</exception>
    public MemoryGate(float[] weights)
    {
        if (weights.Length <= ValuesBesideOrder || !Array.TrueForAll(weights, float.IsFinite))
            throw new FormatException($"The memory's gate needs more than {ValuesBesideOrder} weights, all finite, but has {weights.Length}.");
        _weights = weights;
    }

    public ReadOnlySpan<float> Weights => _weights;

    /// <summary>Gets the order of the memory that the gate is for.</summary>
    public int Order => _weights.Length - ValuesBesideOrder;

    /// <summary>Makes the gate to take where no text is held out to learn it from: both models count alike.</summary>
    public static MemoryGate CreateEven(int order) => new(new float[order + ValuesBesideOrder]);

    /// <summary>Learns the gate that makes tokens likeliest.</summary>
    /// <param name="order">The memory's order.</param>
    /// <param name="tokens">Tokens that neither the network nor the memory was trained on: what was known before each, and the probabilities that
    /// both gave it.</param>
    /// <remarks>Gradient ascent with Adam's steps (Kingma and Ba 2014) over all tokens at once.</remarks>
    public static MemoryGate Learn(int order, IReadOnlyList<(GateInput Input, double Network, double Memory)> tokens)
    {
        int count = order + ValuesBesideOrder;
        double[] weights = new double[count];
        double[] mean = new double[count];
        double[] square = new double[count];
        double[] gradient = new double[count];
        for (int round = 1; round <= Rounds; round++)
        {
            for (int k = 0; k < count; k++)
                gradient[k] = -Prior * weights[k];
            foreach ((GateInput input, double network, double memory) in tokens)
            {
                double g = Sigmoid(weights[Place(input, order)] + weights[order] * input.Left + weights[order + 1] * input.Confidence);
                double change = (memory - network) / ((1 - g) * network + g * memory) * g * (1 - g);
                gradient[Place(input, order)] += change;
                gradient[order] += change * input.Left;
                gradient[order + 1] += change * input.Confidence;
            }

            for (int k = 0; k < count; k++)
            {
                double value = gradient[k] / (tokens.Count + 1);
                mean[k] = 0.9 * mean[k] + 0.1 * value;
                square[k] = 0.99 * square[k] + 0.01 * value * value;
                weights[k] += Rate * mean[k] / (1 - Math.Pow(0.9, round)) / (Math.Sqrt(square[k] / (1 - Math.Pow(0.99, round))) + 1e-9);
            }
        }

        return new MemoryGate([.. weights.Select(weight => (float)weight)]);
    }

    /// <summary>Gives the memory's part g of a token's probability: over 0, below 1.</summary>
    public double GetPart(GateInput input) =>
        Sigmoid(_weights[Place(input, Order)] + _weights[Order] * (double)input.Left + _weights[Order + 1] * (double)input.Confidence);

    private static int Place(GateInput input, int order) => Math.Min(input.Matched, order - 1);

    public static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}
