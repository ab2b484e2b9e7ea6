using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>How gradients change the weights while training.</summary>
public enum TrainingOptimizer
{
    /// <summary>AdamW for all weights.</summary>
    AdamW,

    /// <summary>Muon for the matrices of the blocks, AdamW for all others. It reaches a loss in fewer steps, each of which takes longer,
    /// and needs half of AdamW's memory for these matrices.</summary>
    Muon,
}

/// <summary>The optimizer of a training run: AdamW, and Muon for the matrices of the blocks where it is wanted. Its state can be saved and
/// restored to the bit.</summary>
internal sealed class Optimizer : IDisposable
{
    private readonly AdamWOptimizer _adamW;
    private readonly MuonOptimizer _muon;

    public Optimizer(IReadOnlyList<(string Name, Parameter Weight)> weights, TrainingOptions options)
    {
        ILookup<bool, (string, Parameter)> parts = weights.ToLookup(
            entry => options.Optimizer == TrainingOptimizer.Muon && AdamWOptimizer.IsMatrix(entry.Name, entry.Weight));
        _adamW = new AdamWOptimizer([.. parts[false]], options);
        _muon = new MuonOptimizer([.. parts[true]], options);
    }

    /// <summary>Gets or sets the steps taken.</summary>
    public long StepCount
    {
        get => _adamW.StepCount;
        set => _adamW.StepCount = value;
    }

    /// <summary>Gets what the next steps depend on, by name; it may be written in place.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => _adamW.State.Concat(_muon.State);

    /// <summary>Changes the weights by their gradients; those without a gradient stay.</summary>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="gradientFactor">What the gradients, which stay as they are, count for.</param>
    public void Step(double learningRate, double gradientFactor = 1)
    {
        _adamW.Step(learningRate, gradientFactor);
        _muon.Step(StepCount, learningRate, gradientFactor);
    }

    public void Dispose()
    {
        _adamW.Dispose();
        _muon.Dispose();
    }
}
