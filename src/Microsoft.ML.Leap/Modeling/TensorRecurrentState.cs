using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A state in tensors, for any device: the plain form of <see cref="RawRecurrentState"/>.</summary>
internal sealed class TensorRecurrentState : RecurrentState
{
    private readonly LeapConfig _config;
    private readonly Device _device;
    private readonly CarriedTensorSums[] _layers;

    public TensorRecurrentState(LeapConfig config, Device device)
    {
        _config = config;
        _device = device;
        _layers = [.. Enumerable.Range(0, config.LayerCount).Select(
            l => new CarriedTensorSums(WindowOf(config, l), [config.HeadCount, config.HeadSize + 1], device))];
    }

    /// <inheritdoc/>
    public override long SizeInBytes => _layers.Sum(layer => layer.SizeInBytes);

    /// <summary>Gets a layer's sums of rows [H, e + 1]: f U and f.</summary>
    public CarriedTensorSums Layer(int layer) => _layers[layer];

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        foreach (CarriedTensorSums layer in _layers)
            layer.Reset();
    }

    /// <inheritdoc/>
    public override RecurrentState Clone()
    {
        var copy = new TensorRecurrentState(_config, _device) { Position = Position };
        for (int l = 0; l < _layers.Length; l++)
            copy._layers[l].CopyFrom(_layers[l]);
        return copy;
    }

    /// <inheritdoc/>
    public override void Write(BinaryWriter writer)
    {
        base.Write(writer);
        foreach (CarriedTensorSums layer in _layers)
            layer.Write(writer);
    }

    /// <inheritdoc/>
    public override void Read(BinaryReader reader)
    {
        base.Read(reader);
        foreach (CarriedTensorSums layer in _layers)
            layer.Read(reader);
    }

    public override void Dispose()
    {
        foreach (CarriedTensorSums layer in _layers)
            layer.Dispose();
    }
}
