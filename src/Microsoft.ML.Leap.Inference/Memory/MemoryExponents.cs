using System.Numerics.Tensors;

namespace Microsoft.ML.Leap;

/// <summary>What is known before a token.</summary>
/// <param name="Matched">The part of the longest context that the memory has seen go on, from 0 to 1.</param>
/// <param name="Left">The memory's probability that what comes next was not seen after it, from 0 to 1.</param>
internal readonly record struct MemoryContext(float Matched, float Left);

/// <summary>What both models say of a token that neither was trained on.</summary>
/// <param name="Network">The network's logits, [V].</param>
/// <param name="Memory">The logarithms of the memory's probabilities, [V].</param>
/// <param name="Target">The token.</param>
/// <param name="Context">What was known before it.</param>
internal sealed record HeldOutToken(float[] Network, float[] Memory, int Target, MemoryContext Context);

/// <summary>The exponents of <c>p ~ p(network)^a p(memory)^b</c>: <c>a = w[0] + w[1] matched + w[2] left</c>, and b by w[3] to w[5] likewise.
/// Immutable, and therefore thread-safe.</summary>
internal sealed class MemoryExponents
{
    /// <summary>The number of weights.</summary>
    public const int WeightCount = 2 * FeatureCount;

    private const int FeatureCount = 3;
    // Where each model counts for something, no probability is 0.
    private const float Least = 0.01f;

    // Far beyond what the learning comes to, and small enough that no logit becomes infinite.
    private const float GreatestWeight = 100;

    // What is best where texts are few, in the middle of what was learned on several (docs/research.md).
    private static readonly float[] Start = [0.3f, 0.1f, -0.05f, 0.8f, -0.05f, 0];

    private readonly float[] _weights;

    /// <param name="weights">w, [6].</param>
    /// <exception cref="FormatException">They are others than 6 numbers from -100 to 100.</exception>
    public MemoryExponents(float[] weights)
    {
        if (weights.Length != WeightCount || !Array.TrueForAll(weights, weight => Math.Abs(weight) <= GreatestWeight))
            throw new FormatException($"The memory's exponents need {WeightCount} weights, from {-GreatestWeight} to {GreatestWeight}.");
        _weights = weights;
    }

    /// <summary>Gets the exponents to take where no text is held out to learn them from.</summary>
    public static MemoryExponents Default { get; } = new(Start);

    public ReadOnlySpan<float> Weights => _weights;

    /// <summary>Learns the exponents that make tokens likeliest.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <remarks>The logarithm of a token's probability grows with an exponent by what the model says of it, less the mean of what it says of all tokens,
    /// by their mixed probabilities.</remarks>
    public static MemoryExponents Learn(IReadOnlyList<HeldOutToken> tokens)
    {
        var slopes = new (double Network, double Memory)[tokens.Count];
        double[] learned = GradientAscent.Climb(Start, tokens.Count, (weights, gradient) =>
        {
            var exponents = new MemoryExponents(Array.ConvertAll(weights, weight => (float)weight));
            Parallel.For(0, tokens.Count, i => slopes[i] = GetSlopes(tokens[i], exponents.Get(tokens[i].Context)));
            for (int i = 0; i < slopes.Length; i++)
            {
                MemoryContext context = tokens[i].Context;
                ReadOnlySpan<double> features = [1, context.Matched, context.Left];
                for (int k = 0; k < FeatureCount; k++)
                {
                    gradient[k] += slopes[i].Network * features[k];
                    gradient[FeatureCount + k] += slopes[i].Memory * features[k];
                }
            }
        });
        return new MemoryExponents(Array.ConvertAll(learned, weight => (float)weight));
    }

    /// <summary>Gives the natural logarithm of the probability that both models together give a token.</summary>
    public double GetLogLikelihood(HeldOutToken token)
    {
        float[] mixed = Mix(token, Get(token.Context));
        return mixed[token.Target] - VectorMath.LogSumExp(mixed, TensorPrimitives.Max<float>(mixed));
    }

    /// <summary>Gives a and b.</summary>
    public (float Network, float Memory) Get(MemoryContext context) => (Get(0, context), Get(FeatureCount, context));

    private float Get(int first, MemoryContext context) =>
        Math.Max(Least, _weights[first] + _weights[first + 1] * context.Matched + _weights[first + 2] * context.Left);

    private static (double Network, double Memory) GetSlopes(HeldOutToken token, (float Network, float Memory) exponents)
    {
        float[] mixed = Mix(token, exponents);
        TensorPrimitives.SoftMax(mixed, mixed);
        return (
            token.Network[token.Target] - TensorPrimitives.Dot<float>(mixed, token.Network),
            token.Memory[token.Target] - TensorPrimitives.Dot<float>(mixed, token.Memory));
    }

    private static float[] Mix(HeldOutToken token, (float Network, float Memory) exponents)
    {
        float[] mixed = new float[token.Network.Length];
        TensorPrimitives.Multiply(token.Memory, exponents.Memory, mixed);
        TensorPrimitives.MultiplyAdd(token.Network, exponents.Network, mixed, mixed);
        return mixed;
    }
}

/// <summary>Finds the few numbers that make held-out tokens likeliest.</summary>
internal static class GradientAscent
{
    private const int Rounds = 100;
    private const double Rate = 0.03;

    // Pulls weights to where they begin, as so many tokens would that say nothing else: a few rows must not decide alone.
    private const double Prior = 100;

    /// <summary>Climbs with Adam's steps (Kingma and Ba 2014) over all tokens at once.</summary>
    /// <param name="start">Where the weights begin.</param>
    /// <param name="tokenCount">How many tokens there are.</param>
    /// <param name="addGradient">Given weights, adds the gradient of the tokens' summed log-likelihood.</param>
    public static double[] Climb(ReadOnlySpan<float> start, int tokenCount, Action<double[], double[]> addGradient)
    {
        double[] weights = new double[start.Length];
        for (int k = 0; k < weights.Length; k++)
            weights[k] = start[k];
        double[] mean = new double[weights.Length];
        double[] square = new double[weights.Length];
        for (int round = 1; round <= Rounds; round++)
        {
            double[] gradient = new double[weights.Length];
            for (int k = 0; k < weights.Length; k++)
                gradient[k] = Prior * (start[k] - weights[k]);
            addGradient(weights, gradient);
            for (int k = 0; k < weights.Length; k++)
            {
                double value = gradient[k] / (tokenCount + 1);
                mean[k] = 0.9 * mean[k] + 0.1 * value;
                square[k] = 0.99 * square[k] + 0.01 * value * value;
                weights[k] += Rate * mean[k] / (1 - Math.Pow(0.9, round)) / (Math.Sqrt(square[k] / (1 - Math.Pow(0.99, round))) + 1e-9);
            }
        }

        return weights;
    }
}
