namespace Microsoft.ML.Leap;

/// <summary>Collects what each layer focused on while a network runs, and owns those tensors. Not thread-safe: one a pass.</summary>
internal sealed class FocusCapture : IDisposable
{
    private readonly List<LayerFocus> _layers = [];

    /// <summary>Gets the layers, first to last.</summary>
    public IReadOnlyList<LayerFocus> Layers => _layers;

    /// <summary>Takes over a layer's tensors.</summary>
    public void Add(LayerFocus layer)
    {
        layer.Weights.DetachFromDisposeScope();
        layer.Gates.DetachFromDisposeScope();
        _layers.Add(layer);
    }

    public void Dispose()
    {
        foreach (LayerFocus layer in _layers)
        {
            layer.Weights.Dispose();
            layer.Gates.Dispose();
        }

        _layers.Clear();
    }
}
