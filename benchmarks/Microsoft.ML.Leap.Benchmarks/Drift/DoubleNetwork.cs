using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP in double precision over a text that comes piece by piece: what single precision is measured by.</summary>
internal sealed class DoubleNetwork : IDisposable
{
    private readonly LeapConfig _config;
    private readonly Dictionary<string, Tensor> _weights;
    private readonly DoubleBlock[] _blocks;

    /// <param name="model">The network whose weights it takes; without learned positions.</param>
    public DoubleNetwork(LeapModel model)
    {
        _config = model.Config;
        using var noGradients = no_grad();
        _weights = model.Weights.ToDictionary(weight => weight.Name, weight => weight.Weight.to(ScalarType.Float64));
        _blocks = [.. Enumerable.Range(0, _config.LayerCount).Select(layer => new DoubleBlock(_config, _weights, layer))];
    }

    /// <summary>Gets the least focus logit so far.</summary>
    public double LeastFocus => _blocks.Min(block => block.LeastFocus);

    /// <summary>Gets the greatest focus logit so far.</summary>
    public double MostFocus => _blocks.Max(block => block.MostFocus);

    /// <summary>Goes on over the next tokens.</summary>
    /// <returns>What the output layer sees of each, [n, d].</returns>
    public Tensor Read(int[] ids)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor x = _weights["word_embedding.weight"].index_select(0, tensor([.. ids.Select(id => (long)id)]));
        foreach (DoubleBlock block in _blocks)
            x = block.Read(x);
        x = nn.functional.layer_norm(x, [_config.HiddenSize], _weights["last_norm.weight"], _weights["last_norm.bias"], 1e-5);
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>Gives a layer's focused means at a token of the last piece, [d].</summary>
    public ReadOnlySpan<double> Means(int layer, int token) => _blocks[layer].Means.AsSpan(token * _config.HiddenSize, _config.HiddenSize);

    /// <summary>Computes logits, [n, V], from hidden vectors, [n, d].</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var noGradients = no_grad();
        return nn.functional.linear(hidden, _weights["word_embedding.weight"], _weights["proj_logits.bias"]);
    }

    public void Dispose()
    {
        foreach (Tensor weight in _weights.Values)
            weight.Dispose();
    }
}
