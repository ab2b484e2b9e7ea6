using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Random masks without a generator: the hash of each value's place under two keys, in whole 32-bit numbers on any device.</summary>
internal static class HashedNoise
{
    // A multiply-and-xorshift finaliser: every bit of the input flips every bit of the result with a probability near 1/2.
    internal const int Multiplier = 0x7feb352d;
    internal const int OtherMultiplier = unchecked((int)0x846ca68b);

    /// <summary>Returns values that are 1 with a probability of the mask's share to keep, else 0.</summary>
    public static Tensor Values(NoiseMask mask, long[] shape, ScalarType type, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hash = arange(shape.Aggregate(1L, (count, size) => count * size), ScalarType.Int32, device);
        Mix(hash.add_(mask.Key));
        Mix(hash.bitwise_xor_(tensor(mask.OtherKey, ScalarType.Int32, device)));
        return hash.lt(mask.Threshold).to(type).view(shape).MoveToOuterDisposeScope();
    }

    private static void Mix(Tensor h)
    {
        XorShift(h, 16);
        h.mul_(Multiplier);
        XorShift(h, 15);
        h.mul_(OtherMultiplier);
        XorShift(h, 16);
    }

    // torch shifts the sign in from the left; the mask takes it away.
    private static void XorShift(Tensor h, int bits)
    {
        Tensor shift = tensor(bits, ScalarType.Int32, h.device);
        Tensor unsigned = tensor((1 << (32 - bits)) - 1, ScalarType.Int32, h.device);
        h.bitwise_xor_(h.bitwise_right_shift(shift).bitwise_and_(unsigned));
    }
}
