using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap;

/// <summary>A worker's rows of one head's size, followed by zeros up to a whole number of SIMD vectors, and the arithmetic on them.</summary>
/// <remarks>Only what reads or writes tensors needs to care for odd sizes: all else runs on whole vectors.</remarks>
internal sealed unsafe class HeadRows<TSize> : IDisposable
    where TSize : IRowSize
{
    /// <summary>How many tokens ahead <see cref="Prefetch"/> is worth its while.</summary>
    public const int PrefetchDistance = 6;

    private const int CacheLine = 64;

    private readonly float* _memory;
    private readonly int _rowSize;

    /// <summary>Makes zeroed rows for heads of a size.</summary>
    public HeadRows(int headSize, int rowCount)
    {
        HeadSize = headSize;
        _rowSize = SlidingSumsLayout.GetRowSize(headSize);
        nuint bytes = (nuint)rowCount * (nuint)RowSize * sizeof(float);
        _memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(_memory, bytes);
    }

    public int HeadSize { get; }

    public int RowSize => TSize.Known == 0 ? _rowSize : TSize.Known;

    public float* this[int row] => _memory + (long)row * RowSize;

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    /// <summary>Returns a row with a tensor's values: the tensor's own memory where sizes are whole and the numbers single precision, else a
    /// copy in <paramref name="row"/>, into which nothing else may be written: after its values zeros must stay.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* Read<TValue, TFormat>(TValue* tensor, int row)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue>
    {
        if (IsUsedInPlace<TValue>())
            return (float*)tensor;

        float* copy = this[row];
        int k = 0;
        for (; k <= HeadSize - SimdVector256.Count; k += SimdVector256.Count)
            TFormat.LoadVector<SimdVector256>(tensor + k).Store(copy + k);
        for (; k < HeadSize; k++)
            copy[k] = TFormat.Load(tensor + k);
        return copy;
    }

    /// <summary>Asks the processor for a row of a tensor that will be read or written soon. A head's rows lie so far apart that it does not
    /// foresee the next by itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch<TValue>(TValue* tensor)
        where TValue : unmanaged
    {
        if (!Sse.IsSupported)
            return;
        for (int bytes = 0; bytes < RowSize * sizeof(TValue); bytes += CacheLine)
            Sse.Prefetch0((byte*)tensor + bytes);
    }

    /// <summary>Returns where to write a row of a tensor; <see cref="StoreBack"/> is to follow.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* Write<TValue>(TValue* tensor, int row)
        where TValue : unmanaged => IsUsedInPlace<TValue>() ? (float*)tensor : this[row];

    /// <summary>Takes a row to the tensor where it was not written there in the first place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreBack<TValue, TFormat>(float* row, TValue* tensor)
        where TValue : unmanaged
        where TFormat : IRowFormat<TValue>
    {
        if (IsUsedInPlace<TValue>())
            return;
        int k = 0;
        for (; k <= HeadSize - SimdVector256.Count; k += SimdVector256.Count)
            TFormat.StoreVector(SimdVector256.Load(row + k), tensor + k);
        for (; k < HeadSize; k++)
            TFormat.Store(row[k], tensor + k);
    }

    /// <summary>Writes a row's values less their mean to <paramref name="centered"/>, and gives their sum.</summary>
    /// <returns>Their standard deviation, the unbiased one.</returns>
    public float Center(float* row, float* centered, out float sum)
    {
        sum = Sum(row);
        float mean = sum / HeadSize;
        int k = 0;
        for (; k <= HeadSize - Vector<float>.Count; k += Vector<float>.Count)
            Vector.Store(Vector.Load(row + k) - new Vector<float>(mean), centered + k);
        for (; k < HeadSize; k++)
            centered[k] = row[k] - mean;
        return MathF.Sqrt(Dot(centered, centered) / (HeadSize - 1));
    }

    /// <summary>Fills a row with a mask's factors for the values of a tensor from a place on.</summary>
    public float* Factors(NoiseMask mask, long place, int row)
    {
        float* factors = this[row];
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Vector.Store(mask.Factors((int)(place + k)), factors + k);
        for (int k = HeadSize; k < RowSize; k++)
            factors[k] = 0;
        return factors;
    }

    public void Fill(int row, float value) => new Span<float>(this[row], HeadSize).Fill(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Dot(float* a, float* b)
    {
        Vector<float> sum = Vector<float>.Zero;
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            sum += Vector.Load(a + k) * Vector.Load(b + k);
        return Vector.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* Multiply(float* a, float* b, float* product)
    {
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Vector.Store(Vector.Load(a + k) * Vector.Load(b + k), product + k);
        return product;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply(float* a, float factor, float* product)
    {
        for (int k = 0; k < RowSize; k += Vector<float>.Count)
            Vector.Store(Vector.Load(a + k) * factor, product + k);
    }

    private bool IsUsedInPlace<TValue>() => typeof(TValue) == typeof(float) && HeadSize == RowSize;

    private float Sum(float* row)
    {
        Vector<float> sums = Vector<float>.Zero;
        int k = 0;
        for (; k <= HeadSize - Vector<float>.Count; k += Vector<float>.Count)
            sums += Vector.Load(row + k);
        float sum = Vector.Sum(sums);
        for (; k < HeadSize; k++)
            sum += row[k];
        return sum;
    }
}

/// <summary>How single-precision numbers lie in memory, for kernels that compute in single precision whatever the storage.</summary>
/// <typeparam name="TValue">One stored number.</typeparam>
internal unsafe interface IRowFormat<TValue>
    where TValue : unmanaged
{
    static abstract float Load(TValue* source);

    static abstract void Store(float value, TValue* target);

    static abstract TVector LoadVector<TVector>(TValue* source)
        where TVector : struct, ISimdVector<TVector>;

    static abstract void StoreVector<TVector>(TVector values, TValue* target)
        where TVector : struct, ISimdVector<TVector>;
}

/// <summary>Single-precision numbers as they are.</summary>
internal readonly unsafe struct Float32Row : IRowFormat<float>
{
    public static float Load(float* source) => *source;

    public static void Store(float value, float* target) => *target = value;

    public static TVector LoadVector<TVector>(float* source)
        where TVector : struct, ISimdVector<TVector> => TVector.Load(source);

    public static void StoreVector<TVector>(TVector values, float* target)
        where TVector : struct, ISimdVector<TVector> => values.Store(target);
}

/// <summary>bfloat16: the upper half of a single-precision number's bits, rounded to nearest, ties to even.</summary>
internal readonly unsafe struct BFloat16Row : IRowFormat<ushort>
{
    public static float Load(ushort* source) => BFloat16Bits.Widen(*source);

    public static void Store(float value, ushort* target) => *target = BFloat16Bits.Round(value);

    public static TVector LoadVector<TVector>(ushort* source)
        where TVector : struct, ISimdVector<TVector> => TVector.LoadBFloat16(source);

    public static void StoreVector<TVector>(TVector values, ushort* target)
        where TVector : struct, ISimdVector<TVector> => values.StoreBFloat16(target);
}
