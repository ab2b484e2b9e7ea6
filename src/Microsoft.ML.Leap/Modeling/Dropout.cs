using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Drops values with a probability while training, and scales the rest so that the mean stays.</summary>
internal sealed class Dropout : nn.Module<Tensor, Tensor>
{
    private readonly double _probability;
    private readonly DropoutNoise _noise;

    public Dropout(double probability, DropoutNoise noise)
        : base(nameof(Dropout))
    {
        _probability = probability;
        _noise = noise;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        if (!training || _probability == 0)
            return x;

        double keep = 1 - _probability;
        using Tensor mask = _noise.Mask(x, keep).mul_(1 / keep);
        return x * mask;
    }
}
