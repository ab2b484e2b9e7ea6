using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The random numbers of all dropout layers of one network, apart from torch's global ones. Not thread-safe.</summary>
internal sealed class DropoutNoise(long seed) : IDisposable
{
    private readonly Generator _generator = new(unchecked((ulong)seed), CPU);

    /// <summary>Starts anew: the same seed gives the same masks on the same kind of device.</summary>
    public void Seed(long seed) => _generator.manual_seed(seed);

    /// <summary>Returns a tensor like <paramref name="x"/> whose values are 1 with a probability of <paramref name="keep"/>, else 0.</summary>
    public Tensor Mask(Tensor x, double keep)
    {
        if (x.device_type == DeviceType.CPU)
            return empty(x.shape, x.dtype, CPU).bernoulli_(keep, _generator);

        // TorchSharp makes no private generators but the CPU's, so other devices hash counters under drawn keys.
        return HashedNoise.Mask(x.shape, x.dtype, x.device, keep, DrawKey(), DrawKey());
    }

    public void Dispose() => _generator.Dispose();

    private int DrawKey()
    {
        using Tensor key = empty([1], ScalarType.Int64, CPU).random_(int.MinValue, int.MaxValue, _generator);
        return (int)key.item<long>();
    }
}
