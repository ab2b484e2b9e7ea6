using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A copy of a network's weights, taken where the validation loss was least.</summary>
internal sealed class BestWeights(IReadOnlyList<(string Name, Parameter Weight)> weights) : IDisposable
{
    private Dictionary<string, Tensor>? _kept;

    /// <summary>Gets the copy by name, to be written in place; made at the first use.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _kept ??= Copy();

    public void Keep()
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter weight) in weights)
            Tensors[name].copy_(weight);
    }

    /// <summary>Puts the copy back, if there is one.</summary>
    public void Restore()
    {
        if (_kept is null)
            return;
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter weight) in weights)
            weight.copy_(_kept[name]);
    }

    public void Dispose()
    {
        if (_kept is null)
            return;
        foreach (Tensor tensor in _kept.Values)
            tensor.Dispose();
    }

    private Dictionary<string, Tensor> Copy()
    {
        using var scope = NewDisposeScope();
        return weights.ToDictionary(entry => entry.Name, entry => entry.Weight.detach().clone().DetachFromDisposeScope());
    }
}
