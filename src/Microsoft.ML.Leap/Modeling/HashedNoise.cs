using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Random masks without a generator: the hash of each value's place under two keys, in whole 32-bit numbers on any device.</summary>
internal static class HashedNoise
{
    /// <summary>Returns values that are 1 with a probability of <paramref name="keep"/>, else 0.</summary>
    public static Tensor Mask(long[] shape, ScalarType type, Device device, double keep, int key, int otherKey)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hash = arange(shape.Aggregate(1L, (count, size) => count * size), ScalarType.Int32, device);

        // With one key alone, two masks would be shifts of one sequence.
        Mix(hash.add_(key));
        Mix(hash.bitwise_xor_(tensor(otherKey, ScalarType.Int32, device)));
        double threshold = keep * 4294967296 + int.MinValue;
        return hash.lt((int)Math.Min(threshold, int.MaxValue)).to(type).view(shape).MoveToOuterDisposeScope();
    }

    // A multiply-and-xorshift finaliser: every bit of the input flips every bit of the result with a probability near 1/2.
    private static void Mix(Tensor h)
    {
        XorShift(h, 16);
        h.mul_(0x7feb352d);
        XorShift(h, 15);
        h.mul_(unchecked((int)0x846ca68b));
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
