using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>AdamW (Loshchilov and Hutter 2017), in place, with a state that can be saved and restored to the bit.</summary>
/// <remarks>Weight decay pulls the matrices of the blocks towards zero; norms, biases and embeddings are left alone unless all weights
/// are to decay.</remarks>
internal sealed class AdamWOptimizer : IDisposable
{
    private const double Epsilon = 1e-8;

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
        Parameter largest = weights.MaxBy(entry => entry.Weight.numel()).Weight;
        Tensor scratch = zeros_like(largest).detach().view(-1);
        _slots = [.. weights.Select(entry => new Slot(entry.Name, entry.Weight, settings.DecayAllWeights || IsMatrix(entry.Name, entry.Weight), scratch))];
    }

    /// <summary>Gets or sets the steps taken.</summary>
    public long StepCount { get; set; }

    /// <summary>Gets the moving means of gradients and of their squares by name; they may be written in place.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        _slots.SelectMany(slot => new[] { KeyValuePair.Create($"mean.{slot.Name}", slot.Mean), KeyValuePair.Create($"square.{slot.Name}", slot.Square) });

    /// <summary>Changes the weights by their gradients; those without a gradient stay.</summary>
    public void Step(double learningRate)
    {
        StepCount++;
        double stepSize = learningRate / (1 - Math.Pow(_beta1, StepCount));
        double scale = Math.Sqrt(1 - Math.Pow(_beta2, StepCount));
        using var noGradients = no_grad();
        foreach (Slot slot in _slots)
        {
            using DisposeScope scope = NewDisposeScope();
            if (slot.Weight.grad is not Tensor gradient)
                continue;
            if (slot.IsDecayed)
                slot.Weight.mul_(1 - learningRate * _weightDecay);
            slot.Mean.mul_(_beta1).add_(gradient, 1 - _beta1);
            slot.Square.mul_(_beta2).addcmul_(gradient, gradient, 1 - _beta2);
            slot.Scratch.copy_(slot.Square).sqrt_().div_(scale).add_(Epsilon);
            slot.Weight.addcdiv_(slot.Mean, slot.Scratch, -stepSize);
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
        public Slot(string name, Parameter weight, bool isDecayed, Tensor scratch)
        {
            Name = name;
            Weight = weight;
            IsDecayed = isDecayed;
            Mean = zeros_like(weight).detach().DetachFromDisposeScope();
            Square = zeros_like(weight).detach().DetachFromDisposeScope();
            Scratch = scratch.narrow(0, 0, weight.numel()).view(weight.shape).DetachFromDisposeScope();
        }

        public string Name { get; }
        public Parameter Weight { get; }
        public bool IsDecayed { get; }
        public Tensor Mean { get; }
        public Tensor Square { get; }
        public Tensor Scratch { get; }

        public void Dispose()
        {
            Mean.Dispose();
            Square.Dispose();
            Scratch.Dispose();
        }
    }
}
