using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>256 bits: 8 numbers.</summary>
internal readonly unsafe struct RowVector256(Vector256<float> value) : IRowVector<RowVector256>
{
    private readonly Vector256<float> _value = value;

    public static int Count => Vector256<float>.Count;

    public static RowVector256 operator +(RowVector256 left, RowVector256 right) => new(left._value + right._value);

    public static RowVector256 operator -(RowVector256 left, RowVector256 right) => new(left._value - right._value);

    public static RowVector256 operator *(RowVector256 left, RowVector256 right) => new(left._value * right._value);

    public static RowVector256 operator /(RowVector256 left, RowVector256 right) => new(left._value / right._value);

    public static RowVector256 Create(float value) => new(Vector256.Create(value));

    public static RowVector256 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowVector256 LoadBFloat16(ushort* source)
    {
        (Vector128<uint> lower, Vector128<uint> upper) = Vector128.Widen(Vector128.Load(source));
        return new((Vector256.Create(lower, upper) << 16).AsSingle());
    }

    public static RowVector256 MultiplyAdd(RowVector256 left, RowVector256 right, RowVector256 addend) =>
        new(Vector256.MultiplyAddEstimate(left._value, right._value, addend._value));

    // In this order the processor's own instructions let NaN through.
    public static RowVector256 Clamp(RowVector256 value, RowVector256 least, RowVector256 most) =>
        new(Vector256.MinNative(most._value, Vector256.MaxNative(least._value, value._value)));

    public static RowVector256 Floor(RowVector256 value) => new(Vector256.Floor(value._value));

    public static RowVector256 Absolute(RowVector256 value) => new(Vector256.Abs(value._value));

    public static RowVector256 CopySign(RowVector256 value, RowVector256 sign) => new(Vector256.CopySign(value._value, sign._value));

    public static RowVector256 ScaleByPowerOfTwo(RowVector256 value, RowVector256 exponent) =>
        new(value._value * ((Vector256.ConvertToInt32Native(exponent._value) + Vector256.Create(127)) << 23).AsSingle());

    public float Sum() => Vector256.Sum(_value);

    public void Store(float* target) => _value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBFloat16(ushort* target)
    {
        Vector256<uint> bits = _value.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(BFloat16Row.HalfLessOne) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }
}
