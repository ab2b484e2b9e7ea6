using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>One dropout mask without its values: each follows from its place in the tensor and two keys, as <see cref="HashedNoise"/> says.</summary>
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
        h = (h ^ (h >>> 16)) * HashedNoise.Multiplier;
        h = (h ^ (h >>> 15)) * HashedNoise.OtherMultiplier;
        return h ^ (h >>> 16);
    }
}
