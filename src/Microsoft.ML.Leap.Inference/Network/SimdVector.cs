using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.Wasm;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap;

/// <summary>A SIMD vector of single-precision numbers of one width, for kernels that are written once for several.</summary>
internal unsafe interface ISimdVector<TSelf>
    where TSelf : struct, ISimdVector<TSelf>
{
    /// <summary>Gets the numbers of a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Gets whether there are 32 registers of this width and not 16.</summary>
    static abstract bool HasManyRegisters { get; }

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    static abstract TSelf Create(float value);

    static abstract TSelf Load(float* source);

    static abstract TSelf LoadBFloat16(ushort* source);

    static abstract TSelf LoadInt8(sbyte* source);

    /// <summary>Returns <c>left * right + addend</c>, rounded once where the processor can.</summary>
    static abstract TSelf MultiplyAdd(TSelf left, TSelf right, TSelf addend);

    /// <summary>Returns the larger of each two numbers; of NaN, any of the two.</summary>
    static abstract TSelf Max(TSelf left, TSelf right);

    static abstract TSelf Clamp(TSelf value, TSelf least, TSelf most);

    static abstract TSelf Floor(TSelf value);

    static abstract TSelf Absolute(TSelf value);

    /// <summary>Returns <paramref name="value"/>, which is not negative, with the sign of <paramref name="sign"/>.</summary>
    static abstract TSelf CopySign(TSelf value, TSelf sign);

    /// <summary>Returns <paramref name="value"/> times 2 to the power of whole numbers from -126 to 128.</summary>
    static abstract TSelf ScaleByPowerOfTwo(TSelf value, TSelf exponent);

    float Sum();

    void Store(float* target);

    /// <summary>Stores as bfloat16, rounded to nearest, ties to even.</summary>
    void StoreBFloat16(ushort* target);
}

/// <summary>bfloat16: the upper half of a single-precision number's bits, rounded to nearest, ties to even.</summary>
internal static class BFloat16Bits
{
    /// <summary>Added to the bits before the lower half is cut off; one more where the upper half is odd.</summary>
    public const uint HalfLessOne = 0x7FFF;

    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + HalfLessOne + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Rounds a weight: one that is finite stays so, where <see cref="Round"/> makes the greatest ones infinite.</summary>
    public static ushort RoundWeight(float value)
    {
        const ushort infinity = 0x7F80;
        const ushort sign = 0x8000;
        ushort rounded = Round(value);
        return (rounded & ~sign) == infinity && float.IsFinite(value) ? (ushort)(rounded - 1) : rounded;
    }

    public static float Widen(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);
}

/// <summary>512 bits: 16 numbers, on processors with AVX-512.</summary>
internal readonly unsafe struct SimdVector512(Vector512<float> value) : ISimdVector<SimdVector512>
{
    private readonly Vector512<float> _value = value;

    public static int Count => Vector512<float>.Count;

    public static bool HasManyRegisters => true;

    public static SimdVector512 operator +(SimdVector512 left, SimdVector512 right) => new(left._value + right._value);

    public static SimdVector512 operator -(SimdVector512 left, SimdVector512 right) => new(left._value - right._value);

    public static SimdVector512 operator *(SimdVector512 left, SimdVector512 right) => new(left._value * right._value);

    public static SimdVector512 operator /(SimdVector512 left, SimdVector512 right) => new(left._value / right._value);

    public static SimdVector512 Create(float value) => new(Vector512.Create(value));

    public static SimdVector512 Load(float* source) => new(Vector512.Load(source));

    public static SimdVector512 LoadBFloat16(ushort* source) =>
        new((Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle());

    public static SimdVector512 LoadInt8(sbyte* source) =>
        new(Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(source))));

    public static SimdVector512 MultiplyAdd(SimdVector512 left, SimdVector512 right, SimdVector512 addend) =>
        new(Vector512.MultiplyAddEstimate(left._value, right._value, addend._value));

    public static SimdVector512 Max(SimdVector512 left, SimdVector512 right) => new(Vector512.MaxNative(left._value, right._value));

    // In this order the processor's own instructions let NaN through.
    public static SimdVector512 Clamp(SimdVector512 value, SimdVector512 least, SimdVector512 most) =>
        new(Vector512.MinNative(most._value, Vector512.MaxNative(least._value, value._value)));

    public static SimdVector512 Floor(SimdVector512 value) => new(Vector512.Floor(value._value));

    public static SimdVector512 Absolute(SimdVector512 value) => new(Vector512.Abs(value._value));

    public static SimdVector512 CopySign(SimdVector512 value, SimdVector512 sign) => new(Vector512.CopySign(value._value, sign._value));

    public static SimdVector512 ScaleByPowerOfTwo(SimdVector512 value, SimdVector512 exponent) =>
        new(Avx512F.Scale(value._value, exponent._value));

    public float Sum() => Vector512.Sum(_value);

    public void Store(float* target) => _value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBFloat16(ushort* target)
    {
        Vector512<uint> bits = _value.AsUInt32();
        Vector512<uint> rounded = (bits + Vector512.Create(BFloat16Bits.HalfLessOne) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        Avx512F.ConvertToVector256UInt16(rounded).Store(target);
    }
}

/// <summary>256 bits: 8 numbers.</summary>
internal readonly unsafe struct SimdVector256(Vector256<float> value) : ISimdVector<SimdVector256>
{
    private readonly Vector256<float> _value = value;

    public static int Count => Vector256<float>.Count;

    public static bool HasManyRegisters => false;

    public static SimdVector256 operator +(SimdVector256 left, SimdVector256 right) => new(left._value + right._value);

    public static SimdVector256 operator -(SimdVector256 left, SimdVector256 right) => new(left._value - right._value);

    public static SimdVector256 operator *(SimdVector256 left, SimdVector256 right) => new(left._value * right._value);

    public static SimdVector256 operator /(SimdVector256 left, SimdVector256 right) => new(left._value / right._value);

    public static SimdVector256 Create(float value) => new(Vector256.Create(value));

    public static SimdVector256 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector256 LoadBFloat16(ushort* source)
    {
        (Vector128<uint> lower, Vector128<uint> upper) = Vector128.Widen(Vector128.Load(source));
        return new((Vector256.Create(lower, upper) << 16).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector256 LoadInt8(sbyte* source)
    {
        if (Avx2.IsSupported)
            return new(Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(source)));
        Vector128<short> shorts = Vector128.WidenLower(Vector128.CreateScalar(*(long*)source).AsSByte());
        return new(Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts))));
    }

    public static SimdVector256 MultiplyAdd(SimdVector256 left, SimdVector256 right, SimdVector256 addend) =>
        new(Vector256.MultiplyAddEstimate(left._value, right._value, addend._value));

    public static SimdVector256 Max(SimdVector256 left, SimdVector256 right) => new(Vector256.MaxNative(left._value, right._value));

    // In this order the processor's own instructions let NaN through.
    public static SimdVector256 Clamp(SimdVector256 value, SimdVector256 least, SimdVector256 most) =>
        new(Vector256.MinNative(most._value, Vector256.MaxNative(least._value, value._value)));

    public static SimdVector256 Floor(SimdVector256 value) => new(Vector256.Floor(value._value));

    public static SimdVector256 Absolute(SimdVector256 value) => new(Vector256.Abs(value._value));

    public static SimdVector256 CopySign(SimdVector256 value, SimdVector256 sign) => new(Vector256.CopySign(value._value, sign._value));

    public static SimdVector256 ScaleByPowerOfTwo(SimdVector256 value, SimdVector256 exponent) =>
        new(value._value * ((Vector256.ConvertToInt32Native(exponent._value) + Vector256.Create(127)) << 23).AsSingle());

    public float Sum() => Vector256.Sum(_value);

    public void Store(float* target) => _value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBFloat16(ushort* target)
    {
        Vector256<uint> bits = _value.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(BFloat16Bits.HalfLessOne) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }
}

/// <summary>128 bits: 4 numbers, on ARM, in WebAssembly, and on any processor.</summary>
/// <remarks>WebAssembly has no compiler of its own here: .NET's interpreter compiles loops whose operations it all knows, and only those run fast. So every
/// member is inlined, a vector is wrapped by a cast and not by a constructor, and what the interpreter does not know goes by
/// <see cref="PackedSimd"/>: measured, a product took 0.4 ms in place of 10.</remarks>
internal readonly unsafe struct SimdVector128 : ISimdVector<SimdVector128>
{
#pragma warning disable CS0649 // Wrap fills it.
    private readonly Vector128<float> _value;
#pragma warning restore CS0649

    public static int Count
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128<float>.Count;
    }

    public static bool HasManyRegisters
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => AdvSimd.IsSupported;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 operator +(SimdVector128 left, SimdVector128 right) => Wrap(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 operator -(SimdVector128 left, SimdVector128 right) => Wrap(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 operator *(SimdVector128 left, SimdVector128 right) => Wrap(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 operator /(SimdVector128 left, SimdVector128 right) => Wrap(left._value / right._value);

    // By its bits: for a float the interpreter in WebAssembly makes code that browsers refuse, and after two refusals it compiles no more.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Create(float value) => Wrap(Vector128.Create(BitConverter.SingleToInt32Bits(value)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Load(float* source) => Wrap(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 LoadBFloat16(ushort* source) => PackedSimd.IsSupported
        ? Wrap(PackedSimd.ShiftLeft(PackedSimd.LoadWideningVector128(source), 16).AsSingle())
        : Wrap((Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)source).AsUInt16()) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 LoadInt8(sbyte* source) => PackedSimd.IsSupported
        ? Wrap(PackedSimd.ConvertToSingle(
            PackedSimd.SignExtendWideningLower(PackedSimd.SignExtendWideningLower(PackedSimd.LoadScalarVector128((int*)source).AsSByte()))))
        : Wrap(Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(*(int*)source).AsSByte()))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 MultiplyAdd(SimdVector128 left, SimdVector128 right, SimdVector128 addend) => PackedSimd.IsSupported
        ? Wrap(left._value * right._value + addend._value)
        : Wrap(Vector128.MultiplyAddEstimate(left._value, right._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Max(SimdVector128 left, SimdVector128 right) => PackedSimd.IsSupported
        ? Wrap(PackedSimd.Max(left._value, right._value))
        : Wrap(Vector128.MaxNative(left._value, right._value));

    // Not by the processor's own instructions: which of them lets NaN through differs between processors. WebAssembly's let it through.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Clamp(SimdVector128 value, SimdVector128 least, SimdVector128 most) => PackedSimd.IsSupported
        ? Wrap(PackedSimd.Min(most._value, PackedSimd.Max(least._value, value._value)))
        : Wrap(Vector128.Min(most._value, Vector128.Max(least._value, value._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Floor(SimdVector128 value) =>
        Wrap(PackedSimd.IsSupported ? PackedSimd.Floor(value._value) : Vector128.Floor(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 Absolute(SimdVector128 value) =>
        Wrap(PackedSimd.IsSupported ? PackedSimd.Abs(value._value) : Vector128.Abs(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 CopySign(SimdVector128 value, SimdVector128 sign) => PackedSimd.IsSupported
        ? Wrap(PackedSimd.BitwiseSelect(sign._value, value._value, Vector128.Create(int.MinValue).AsSingle()))
        : Wrap(Vector128.CopySign(value._value, sign._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SimdVector128 ScaleByPowerOfTwo(SimdVector128 value, SimdVector128 exponent)
    {
        Vector128<int> power = PackedSimd.IsSupported ? PackedSimd.ConvertToInt32Saturate(exponent._value) : Vector128.ConvertToInt32(exponent._value);
        return Wrap(value._value * ((power + Vector128.Create(127)) << 23).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Sum() => Vector128.Sum(_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* target) => _value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBFloat16(ushort* target)
    {
        Vector128<uint> bits = _value.AsUInt32();
        Vector128<uint> rounded = (bits + Vector128.Create(BFloat16Bits.HalfLessOne) + ((bits >> 16) & Vector128<uint>.One)) >> 16;
        *(ulong*)target = Vector128.Narrow(rounded, rounded).AsUInt64().ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SimdVector128 Wrap(Vector128<float> value) => Unsafe.BitCast<Vector128<float>, SimdVector128>(value);
}
