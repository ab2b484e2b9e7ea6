using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The random numbers of all dropout layers of one network, apart from torch's global ones. Not thread-safe.</summary>
/// <remarks>Only keys are drawn, on the CPU: TorchSharp makes no private generators for other devices, and a hash of each value's place
/// under those keys gives the same masks on all of them.</remarks>
internal sealed class DropoutNoise(long seed) : IDisposable
{
    private readonly Generator _generator = new(unchecked((ulong)seed), CPU);

    /// <summary>Starts anew: the same seed gives the same masks.</summary>
    public void Seed(long seed) => _generator.manual_seed(seed);

    /// <summary>Draws a mask that keeps values with a probability of <paramref name="keep"/>.</summary>
    public NoiseMask Draw(double keep)
    {
        using Tensor keys = empty([2], ScalarType.Int64, CPU).random_(int.MinValue, int.MaxValue, _generator);
        ReadOnlySpan<long> drawn = keys.data<long>().ToArray();
        return new NoiseMask((int)drawn[0], (int)drawn[1], keep);
    }

    public void Dispose() => _generator.Dispose();
}
