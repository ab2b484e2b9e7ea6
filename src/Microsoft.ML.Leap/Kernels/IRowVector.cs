namespace Microsoft.ML.Leap;

/// <summary>A SIMD vector of single-precision numbers of one width, for kernels that are written once for several.</summary>
internal unsafe interface IRowVector<TSelf>
    where TSelf : struct, IRowVector<TSelf>
{
    /// <summary>Gets the numbers of a vector.</summary>
    static abstract int Count { get; }

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    static abstract TSelf Create(float value);

    static abstract TSelf Load(float* source);

    static abstract TSelf LoadBFloat16(ushort* source);

    /// <summary>Returns <c>left * right + addend</c>, rounded once where the processor can.</summary>
    static abstract TSelf MultiplyAdd(TSelf left, TSelf right, TSelf addend);

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
