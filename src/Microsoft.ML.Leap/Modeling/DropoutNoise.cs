using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The random numbers of all dropout layers of one network, apart from torch's global ones.</summary>
internal sealed class DropoutNoise(long seed) : IDisposable
{
    private readonly Generator generator = new(unchecked((ulong)seed), CPU);

    public void Seed(long seed) => generator.manual_seed(seed);

    /// <summary>Returns a tensor like <paramref name="x"/> whose values are 1 with a probability of <paramref name="keep"/>, else 0.</summary>
    public Tensor Mask(Tensor x, double keep)
    {
        Tensor mask = empty(x.shape, x.dtype, CPU).bernoulli_(keep, generator);
        return mask.to(x.device);
    }

    public void Dispose() => generator.Dispose();
}
