using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>How a network's weights lie in memory. What is computed with them is always single precision.</summary>
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "The types of numbers are what this enumeration names.")]
public enum WeightFormat
{
    /// <summary>Single precision, 4 bytes per weight: exactly what was trained.</summary>
    Float32,

    /// <summary>bfloat16, 2 bytes per weight: the upper half of each number, rounded, which keeps 8 significant bits.</summary>
    BFloat16,

    /// <summary>8-bit integers, 1 byte per weight, and a scale for each output of a matrix, so that its largest weight is 127.</summary>
    Int8,
}

/// <summary>How kernels read packed weights.</summary>
internal unsafe interface IPackedWeights
{
    /// <summary>Gets the bytes of a weight.</summary>
    static abstract int Size { get; }

    /// <summary>Gets whether what is read must be multiplied by the scale of its output.</summary>
    static abstract bool HasScales { get; }

    /// <summary>Reads a vector of weights.</summary>
    /// <param name="weights">Where weights start.</param>
    /// <param name="index">The first weight to read.</param>
    static abstract TVector Load<TVector>(byte* weights, nint index)
        where TVector : struct, ISimdVector<TVector>;
}

/// <summary>Weights of <see cref="WeightFormat.Float32"/>.</summary>
internal readonly unsafe struct Float32Weights : IPackedWeights
{
    public static int Size => sizeof(float);

    public static bool HasScales => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TVector>(byte* weights, nint index)
        where TVector : struct, ISimdVector<TVector> => TVector.Load((float*)weights + index);
}

/// <summary>Weights of <see cref="WeightFormat.BFloat16"/>.</summary>
internal readonly unsafe struct BFloat16Weights : IPackedWeights
{
    public static int Size => sizeof(ushort);

    public static bool HasScales => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TVector>(byte* weights, nint index)
        where TVector : struct, ISimdVector<TVector> => TVector.LoadBFloat16((ushort*)weights + index);
}

/// <summary>Weights of <see cref="WeightFormat.Int8"/>.</summary>
internal readonly unsafe struct Int8Weights : IPackedWeights
{
    public static int Size => sizeof(sbyte);

    public static bool HasScales => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TVector>(byte* weights, nint index)
        where TVector : struct, ISimdVector<TVector> => TVector.LoadInt8((sbyte*)weights + index);
}

/// <summary>Matrices of 8-bit whole numbers with one scale per row: a row's greatest magnitude is 127 times its scale.</summary>
internal static class Int8Rows
{
    /// <summary>Rounds a row, and returns its scale.</summary>
    /// <param name="row">The row.</param>
    /// <param name="numbers">Where its whole numbers go.</param>
    /// <param name="stride">From one of them to the next.</param>
    [MethodImpl(HotLoop.Options)]
    public static unsafe float QuantizeRow(ReadOnlySpan<float> row, sbyte* numbers, int stride = 1)
    {
        float greatest = 0;
        foreach (float value in row)
            greatest = Math.Max(greatest, Math.Abs(value));
        float scale = greatest / sbyte.MaxValue;

        // The quotient is rounded up where the greatest is float.MaxValue.
        if (float.IsInfinity(scale * sbyte.MaxValue))
            scale = MathF.BitDecrement(scale);
        foreach (float value in row)
        {
            *numbers = scale == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(value / scale), -sbyte.MaxValue, sbyte.MaxValue);
            numbers += stride;
        }

        return scale;
    }

    /// <summary>Rounds a matrix of as many rows as there are scales, and writes those.</summary>
    public static unsafe sbyte[] Quantize(ReadOnlySpan<float> matrix, Span<float> scales)
    {
        int columns = matrix.Length / Math.Max(1, scales.Length);
        sbyte[] numbers = new sbyte[matrix.Length];
        fixed (sbyte* first = numbers)
        {
            for (int row = 0; row < scales.Length; row++)
                scales[row] = QuantizeRow(matrix.Slice(row * columns, columns), first + (long)row * columns);
        }

        return numbers;
    }

    /// <summary>Copies whole numbers.</summary>
    public static void Widen(ReadOnlySpan<sbyte> numbers, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = numbers[i];
    }

    /// <summary>Multiplies each row of a matrix by its scale.</summary>
    public static void Scale(Span<float> matrix, ReadOnlySpan<float> scales)
    {
        int columns = matrix.Length / Math.Max(1, scales.Length);
        for (int row = 0; row < scales.Length; row++)
            ScaleRow(matrix.Slice(row * columns, columns), scales[row]);
    }

    // By itself: a loop within a loop is compiled later in a browser.
    private static void ScaleRow(Span<float> row, float scale)
    {
        for (int k = 0; k < row.Length; k++)
            row[k] *= scale;
    }
}
