namespace Microsoft.ML.Leap;

/// <summary>bfloat16: the upper half of a single-precision number's bits, rounded to nearest, ties to even.</summary>
internal readonly unsafe struct BFloat16Row : IRowFormat<ushort>
{
    /// <summary>Added to the bits before the lower half is cut off; one more where the upper half is odd.</summary>
    public const uint HalfLessOne = 0x7FFF;

    public static float Load(ushort* source) => BitConverter.UInt32BitsToSingle((uint)*source << 16);

    public static void Store(float value, ushort* target)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        *target = (ushort)((bits + HalfLessOne + ((bits >> 16) & 1)) >> 16);
    }

    public static TVector LoadVector<TVector>(ushort* source)
        where TVector : struct, IRowVector<TVector> => TVector.LoadBFloat16(source);

    public static void StoreVector<TVector>(TVector values, ushort* target)
        where TVector : struct, IRowVector<TVector> => values.StoreBFloat16(target);
}
