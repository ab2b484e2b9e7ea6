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
        if (Draw() is not NoiseMask mask)
            return x;
        return MaskedScale.Supports(x) ? MaskedScale.Of(x, mask) : Plain(x, mask);
    }

    /// <summary>Draws the mask of one call, for kernels that apply it themselves; null where nothing is dropped.</summary>
    public NoiseMask? Draw() => training && _probability > 0 ? _noise.Draw(1 - _probability) : null;

    /// <summary>Applies a mask by tensor operations, on any device and in any precision.</summary>
    public static Tensor Plain(Tensor x, NoiseMask mask)
    {
        using Tensor factors = HashedNoise.Values(mask, x.shape, x.dtype, x.device).mul_(1 / mask.Keep);
        return x * factors;
    }
}
