using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Drops values with a probability while training, and scales the rest so that the mean stays.</summary>
internal sealed class Dropout : nn.Module<Tensor, Tensor>
{
    private readonly double probability;
    private readonly DropoutNoise noise;

    public Dropout(double probability, DropoutNoise noise)
        : base(nameof(Dropout))
    {
        this.probability = probability;
        this.noise = noise;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        if (!training || probability == 0)
            return x;

        double keep = 1 - probability;
        using Tensor mask = noise.Mask(x, keep).mul_(1 / keep);
        return x * mask;
    }
}
