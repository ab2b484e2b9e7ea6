using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>AdamW (Loshchilov and Hutter 2017), in place, with a state that can be saved and restored to the bit.</summary>
/// <remarks>Weight decay pulls the matrices of the blocks towards zero; norms, biases and embeddings are left alone unless all weights
/// are to decay.</remarks>
internal sealed class AdamWOptimizer : IDisposable
{
    private readonly Slot[] _slots;
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _weightDecay;

    public AdamWOptimizer(IReadOnlyList<(string Name, Parameter Weight)> weights, TrainingSettings settings)
    {
        _beta1 = settings.Beta1;
        _beta2 = settings.Beta2;
        _weightDecay = settings.WeightDecay;
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        _slots = [.. weights.Select(entry => new Slot(entry.Name, entry.Weight, settings.DecayAllWeights || IsMatrix(entry.Name, entry.Weight)))];
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
        AdamWStep decaying = step with { WeightFactor = (float)(1 - learningRate * _weightDecay) };
        using var noGradients = no_grad();
        foreach (Slot slot in _slots)
        {
            using DisposeScope scope = NewDisposeScope();
            if (slot.Weight.grad is Tensor gradient)
                (slot.IsDecayed ? decaying : step).Apply(slot.Weight, gradient, slot.Mean, slot.Square);
        }
    }

    public void Dispose()
    {
        foreach (Slot slot in _slots)
            slot.Dispose();
    }

    private static bool IsMatrix(string name, Parameter weight) =>
        weight.dim() == 2 && !name.Contains("embedding", StringComparison.Ordinal);

    private sealed class Slot : IDisposable
    {
        public Slot(string name, Parameter weight, bool isDecayed)
        {
            Name = name;
            Weight = weight;
            IsDecayed = isDecayed;
            Mean = zeros_like(weight).detach().DetachFromDisposeScope();
            Square = zeros_like(weight).detach().DetachFromDisposeScope();
        }

        public string Name { get; }
        public Parameter Weight { get; }
        public bool IsDecayed { get; }
        public Tensor Mean { get; }
        public Tensor Square { get; }

        public void Dispose()
        {
            Mean.Dispose();
            Square.Dispose();
        }
    }
}
