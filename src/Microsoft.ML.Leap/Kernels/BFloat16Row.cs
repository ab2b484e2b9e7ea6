using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>bfloat16: the upper half of a single-precision number's bits, rounded to nearest, ties to even.</summary>
internal readonly unsafe struct BFloat16Row : IRowFormat<ushort>
{
    private const uint HalfLessOne = 0x7FFF;

    public static float Load(ushort* source) => BitConverter.UInt32BitsToSingle((uint)*source << 16);

    public static void Store(float value, ushort* target)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        *target = (ushort)((bits + HalfLessOne + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadVector(ushort* source)
    {
        (Vector128<uint> lower, Vector128<uint> upper) = Vector128.Widen(Vector128.Load(source));
        return (Vector256.Create(lower, upper) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreVector(Vector256<float> values, ushort* target)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(HalfLessOne) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }
}
