using System.Numerics;
using System.Runtime.CompilerServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>AdamW (Loshchilov and Hutter 2017), in place, with a state that can be saved and restored to the bit.</summary>
/// <remarks>Weight decay pulls the matrices of the blocks towards zero, and embeddings a third as fast; norms, biases and convolutions are left alone
/// unless all weights are to decay as the matrices do. A convolution that does nothing is the identity, not zero.</remarks>
internal sealed class AdamWOptimizer : IDisposable
{
    // With as much as the matrices have, a large vocabulary learned more slowly (docs/research.md).
    private const double EmbeddingDecay = 1.0 / 3;

    private readonly Slot[] _slots;
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _weightDecay;

    public AdamWOptimizer(IReadOnlyList<(string Name, Parameter Weight)> weights, TrainingOptions options)
    {
        _beta1 = options.Beta1;
        _beta2 = options.Beta2;
        _weightDecay = options.WeightDecay!.Value;
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        _slots = [.. weights.Select(entry => new Slot(entry.Name, entry.Weight, options.DecayAllWeights ? 1 : ChooseDecay(entry.Name, entry.Weight)))];
    }

    /// <summary>Gets or sets the steps taken.</summary>
    public long StepCount { get; set; }

    /// <summary>Gets the moving means of gradients and of their squares by name; they may be written in place.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        _slots.SelectMany(slot => new[] { KeyValuePair.Create($"mean.{slot.Name}", slot.Mean), KeyValuePair.Create($"square.{slot.Name}", slot.Square) });

    /// <summary>Changes the weights by their gradients; those without a gradient stay.</summary>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="gradientFactor">What the gradients, which stay as they are, count for.</param>
    public void Step(double learningRate, double gradientFactor = 1)
    {
        StepCount++;
        var step = new AdamWStep(
            WeightFactor: 1,
            (float)gradientFactor,
            (float)_beta1,
            (float)_beta2,
            StepSize: (float)(learningRate / (1 - Math.Pow(_beta1, StepCount))),
            RootFactor: (float)(1 / Math.Sqrt(1 - Math.Pow(_beta2, StepCount))));
        using var noGradients = no_grad();
        foreach (Slot slot in _slots)
        {
            using DisposeScope scope = NewDisposeScope();
            if (slot.Weight.grad is Tensor gradient)
            {
                AdamWStep decaying = step with { WeightFactor = (float)(1 - learningRate * _weightDecay * slot.Decay) };
                decaying.Apply(slot.Weight, gradient, slot.Mean, slot.Square);
            }
        }
    }

    public void Dispose()
    {
        foreach (Slot slot in _slots)
            slot.Dispose();
    }

    /// <summary>Tells whether a weight is a matrix of the blocks.</summary>
    public static bool IsMatrix(string name, Parameter weight) =>
        weight.dim() == 2 && !IsEmbedding(name) && !name.Contains("convolution", StringComparison.Ordinal);

    private static bool IsEmbedding(string name) => name.Contains("embedding", StringComparison.Ordinal);

    private static double ChooseDecay(string name, Parameter weight) => IsEmbedding(name) ? EmbeddingDecay : IsMatrix(name, weight) ? 1 : 0;

    private sealed class Slot : IDisposable
    {
        public Slot(string name, Parameter weight, double decay)
        {
            Name = name;
            Weight = weight;
            Decay = decay;
            Mean = zeros_like(weight).detach().DetachFromDisposeScope();
            Square = zeros_like(weight).detach().DetachFromDisposeScope();
        }

        public string Name { get; }
        public Parameter Weight { get; }

        /// <summary>Gets the part of the weight decay that applies to the weight.</summary>
        public double Decay { get; }

        public Tensor Mean { get; }
        public Tensor Square { get; }

        public void Dispose()
        {
            Mean.Dispose();
            Square.Dispose();
        }
    }
}

/// <summary>What one step of AdamW does to a weight, its gradient's moving mean and that of the gradient's square.</summary>
/// <param name="WeightFactor">What weight decay leaves of the weight.</param>
/// <param name="GradientFactor">What clipping leaves of the gradient.</param>
/// <param name="Beta1">What stays of the mean.</param>
/// <param name="Beta2">What stays of the square.</param>
/// <param name="StepSize">The learning rate, corrected for a mean that began at 0.</param>
/// <param name="RootFactor">Corrects the square's root for a square that began at 0.</param>
internal readonly record struct AdamWStep(
    float WeightFactor, float GradientFactor, float Beta1, float Beta2, float StepSize, float RootFactor)
{
    private const float Epsilon = 1e-8f;
    private const int GrainSize = 1 << 15;

    /// <summary>Changes the three in place.</summary>
    public void Apply(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        if (RawMemory.IsReachable(weight) && RawMemory.IsReachable(gradient))
            Fused(weight, gradient, mean, square);
        else
            Reference(weight, gradient, mean, square);
    }

    /// <summary>The step by tensor operations, on any device.</summary>
    public void Reference(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        using var scope = NewDisposeScope();
        using Scalar newShare = (1 - Beta2).ToScalar(), step = (-StepSize).ToScalar();
        gradient = gradient.Times(GradientFactor);
        mean.Multiply(Beta1).Add(gradient, 1 - Beta1);
        square.Multiply(Beta2).addcmul_(gradient, gradient, newShare);
        Tensor root = square.sqrt().Multiply(RootFactor).Add(Epsilon);
        weight.Multiply(WeightFactor).addcdiv_(mean, root, step);
    }

    /// <summary>The step in one pass through memory, on the CPU.</summary>
    public unsafe void Fused(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        using var scope = NewDisposeScope();
        AdamWStep step = this;
        float* w = RawMemory.Singles(weight);
        float* g = RawMemory.Singles(gradient.contiguous());
        float* m = RawMemory.Singles(mean);
        float* v = RawMemory.Singles(square);
        CpuWork.ForRanges(weight.numel(), GrainSize, (first, count) => step.Fused(w + first, g + first, m + first, v + first, count));
    }

    [MethodImpl(HotLoop.Options)]
    private unsafe void Fused(float* weight, float* gradient, float* mean, float* square, int count)
    {
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> g = Vector.Load(gradient + i) * GradientFactor;
            Vector<float> m = Vector.Load(mean + i) * Beta1 + g * (1 - Beta1);
            Vector<float> v = Vector.Load(square + i) * Beta2 + g * g * (1 - Beta2);
            Vector<float> root = Vector.SquareRoot(v) * RootFactor + new Vector<float>(Epsilon);
            Vector.Store(m, mean + i);
            Vector.Store(v, square + i);
            Vector.Store(Vector.Load(weight + i) * WeightFactor - m / root * StepSize, weight + i);
        }

        for (; i < count; i++)
        {
            float g = gradient[i] * GradientFactor;
            mean[i] = mean[i] * Beta1 + g * (1 - Beta1);
            square[i] = square[i] * Beta2 + g * g * (1 - Beta2);
            weight[i] = weight[i] * WeightFactor - mean[i] / (MathF.Sqrt(square[i]) * RootFactor + Epsilon) * StepSize;
        }
    }
}
