using System.Numerics;
using System.Runtime.CompilerServices;
using TorchSharp;
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
        return FusedDropout.Supports(x) ? FusedDropout.Apply(x, mask) : Reference(x, mask);
    }

    /// <summary>Draws the mask of one call, for kernels that apply it themselves; null where nothing is dropped.</summary>
    public NoiseMask? Draw() => training && _probability > 0 ? _noise.Draw(1 - _probability) : null;

    /// <summary>Applies a mask by tensor operations, on any device and in any precision.</summary>
    public static Tensor Reference(Tensor x, NoiseMask mask)
    {
        using Tensor isKept = CounterRandom.IsKept(mask, x.shape, x.device);
        return x.mul(isKept).Multiply(1 / mask.Keep);
    }
}

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

/// <summary>One dropout mask without its values: each follows from its place in the tensor and two keys, as <see cref="CounterRandom"/> says.</summary>
/// <param name="Key">The first key.</param>
/// <param name="OtherKey">The second key: with one alone, two masks would be shifts of one sequence.</param>
/// <param name="Keep">The share of values that stay.</param>
internal readonly record struct NoiseMask(int Key, int OtherKey, double Keep)
{
    /// <summary>Gets what the values that stay are multiplied by, so that the mean stays too.</summary>
    public float Scale { get; } = (float)(1 / Keep);

    /// <summary>Gets the hash from which on, as a signed number, values are dropped.</summary>
    public int Threshold { get; } = (int)Math.Min(Keep * 4294967296 + int.MinValue, int.MaxValue);

    /// <summary>Returns the factors, <see cref="Scale"/> or 0, of as many values as a vector holds from <paramref name="place"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector<float> Factors(int place)
    {
        Vector<int> hash = Vector<int>.Indices + new Vector<int>(unchecked(place + Key));
        hash = Mix(Mix(hash) ^ new Vector<int>(OtherKey));
        Vector<int> isKept = Vector.LessThan(hash, new Vector<int>(Threshold));
        return Vector.AsVectorSingle(isKept & Vector.AsVectorInt32(new Vector<float>(Scale)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<int> Mix(Vector<int> h)
    {
        h = (h ^ (h >>> 16)) * CounterRandom.Multiplier;
        h = (h ^ (h >>> 15)) * CounterRandom.OtherMultiplier;
        return h ^ (h >>> 16);
    }
}

/// <summary>Random masks without a generator: the hash of each value's place under two keys, in whole 32-bit numbers on any device.</summary>
internal static class CounterRandom
{
    // A multiply-and-xorshift finaliser: every bit of the input flips every bit of the result with a probability near 1/2.
    internal const int Multiplier = 0x7feb352d;
    internal const int OtherMultiplier = unchecked((int)0x846ca68b);

    private static readonly Scalar First = 0.ToScalar();
    private static readonly Scalar Step = 1.ToScalar();

    /// <summary>Returns values that are true with a probability of the mask's share to keep.</summary>
    public static Tensor IsKept(NoiseMask mask, long[] shape, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        using Scalar count = shape.Aggregate(1L, (product, size) => product * size).ToScalar();
        using Scalar threshold = mask.Threshold.ToScalar();
        Tensor hash = arange(First, count, Step, ScalarType.Int32, device);
        Mix(hash.Add(mask.Key));
        Mix(hash.bitwise_xor_(Number(mask.OtherKey, device)));
        return hash.lt(threshold).view(shape).MoveToOuterDisposeScope();
    }

    private static void Mix(Tensor h)
    {
        XorShift(h, 16);
        h.Multiply(Multiplier);
        XorShift(h, 15);
        h.Multiply(OtherMultiplier);
        XorShift(h, 16);
    }

    // torch shifts the sign in from the left; the mask takes it away.
    private static void XorShift(Tensor h, int bits)
    {
        Tensor shift = Number(bits, h.device);
        Tensor unsigned = Number((1 << (32 - bits)) - 1, h.device);
        h.bitwise_xor_(h.bitwise_right_shift(shift).bitwise_and_(unsigned));
    }

    // Written by the device itself: a copy from the host would make it wait.
    private static Tensor Number(int value, Device device)
    {
        using Scalar scalar = value.ToScalar();
        return full([], scalar, ScalarType.Int32, device);
    }
}

/// <summary>Dropout on the CPU in one pass: the mask is hashed on the way, forward and backward, and never stored.</summary>
internal static unsafe class FusedDropout
{
    // Below this, waking a thread costs more than it saves.
    private const int GrainSize = 1 << 15;

    /// <summary>Tells whether <see cref="Apply"/> can compute on a tensor.</summary>
    public static bool Supports(Tensor x) => RawMemory.IsReachable(x);

    /// <summary>Returns the values that the mask keeps, scaled, and 0 for the rest.</summary>
    public static Tensor Apply(Tensor x, NoiseMask mask) =>
        x.requires_grad && is_grad_enabled() ? Function.apply(x, mask) : Compute(x, mask);

    private static Tensor Compute(Tensor x, NoiseMask mask)
    {
        Tensor y = empty(x.shape, ScalarType.Float32, CPU);
        using DisposeScope scope = NewDisposeScope();
        float* from = RawMemory.Singles(x.contiguous());
        float* to = RawMemory.Singles(y);
        CpuWork.ForRanges(y.numel(), GrainSize, (first, count) => Compute(from + first, to + first, first, count, mask));
        return y;
    }

    [MethodImpl(HotLoop.Options)]
    private static void Compute(float* from, float* to, long first, int count, NoiseMask mask)
    {
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            Vector.Store(Vector.Load(from + i) * mask.Factors((int)(first + i)), to + i);
        Vector<float> rest = mask.Factors((int)(first + i));
        for (int k = 0; i < count; i++, k++)
            to[i] = from[i] * rest[k];
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        private const string Mask = "mask";

        public override string Name => nameof(FusedDropout);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(Mask, vars[1]);
            return Compute((Tensor)vars[0], (NoiseMask)vars[1]);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
            [Compute(grad_output, (NoiseMask)ctx.get_data(Mask)), null!];
    }
}
