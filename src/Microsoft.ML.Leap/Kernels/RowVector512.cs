using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap;

/// <summary>512 bits: 16 numbers, on processors with AVX-512.</summary>
internal readonly unsafe struct RowVector512(Vector512<float> value) : IRowVector<RowVector512>
{
    private readonly Vector512<float> _value = value;

    public static int Count => Vector512<float>.Count;

    public static RowVector512 operator +(RowVector512 left, RowVector512 right) => new(left._value + right._value);

    public static RowVector512 operator -(RowVector512 left, RowVector512 right) => new(left._value - right._value);

    public static RowVector512 operator *(RowVector512 left, RowVector512 right) => new(left._value * right._value);

    public static RowVector512 operator /(RowVector512 left, RowVector512 right) => new(left._value / right._value);

    public static RowVector512 Create(float value) => new(Vector512.Create(value));

    public static RowVector512 Load(float* source) => new(Vector512.Load(source));

    public static RowVector512 LoadBFloat16(ushort* source) =>
        new((Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle());

    public static RowVector512 MultiplyAdd(RowVector512 left, RowVector512 right, RowVector512 addend) =>
        new(Vector512.MultiplyAddEstimate(left._value, right._value, addend._value));

    // In this order the processor's own instructions let NaN through.
    public static RowVector512 Clamp(RowVector512 value, RowVector512 least, RowVector512 most) =>
        new(Vector512.MinNative(most._value, Vector512.MaxNative(least._value, value._value)));

    public static RowVector512 Floor(RowVector512 value) => new(Vector512.Floor(value._value));

    public static RowVector512 Absolute(RowVector512 value) => new(Vector512.Abs(value._value));

    public static RowVector512 CopySign(RowVector512 value, RowVector512 sign) => new(Vector512.CopySign(value._value, sign._value));

    public static RowVector512 ScaleByPowerOfTwo(RowVector512 value, RowVector512 exponent) =>
        new(Avx512F.Scale(value._value, exponent._value));

    public float Sum() => Vector512.Sum(_value);

    public void Store(float* target) => _value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBFloat16(ushort* target)
    {
        Vector512<uint> bits = _value.AsUInt32();
        Vector512<uint> rounded = (bits + Vector512.Create(BFloat16Row.HalfLessOne) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        Avx512F.ConvertToVector256UInt16(rounded).Store(target);
    }
}
