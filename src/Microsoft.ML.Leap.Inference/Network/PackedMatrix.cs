using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>A matrix [rows, columns] and perhaps a bias, laid out once for products with rows of numbers: <c>y = x W^T + b</c>. Immutable once it
/// is filled, and then thread-safe.</summary>
/// <remarks>
/// Outputs stand side by side in panels of 32, each [columns][32], the last filled up with zeros. So a product with one vector reads the memory
/// from beginning to end and needs no sums across a SIMD vector; and one with many finds a panel in the nearest cache.
/// What is computed for a vector does not depend on which others are computed with it, nor on the panels asked for at once: each output is one
/// sum over the columns in their order.
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Outputs per panel.</summary>
    public const int PanelWidth = 32;

    private const int RowsAtOnce = 8;

    private readonly int _weightSize;
    private readonly NativeBlock _block;
    private byte* _panels;
    private float* _scales;
    private float* _bias;

    /// <summary>Makes a matrix to be filled: all of its rows, and the bias if there is one.</summary>
    /// <param name="rows">At least 1.</param>
    /// <param name="columns">At least 1.</param>
    /// <param name="format">How weights are to lie in memory.</param>
    /// <param name="hasBias">Whether there is something to add to each output.</param>
    /// <param name="block">What to lie in, and from where on, where the matrix is to share memory with others; else it takes its own.</param>
    public PackedMatrix(int rows, int columns, WeightFormat format, bool hasBias, (NativeBlock Memory, long Start)? block = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        Rows = rows;
        Columns = columns;
        Format = format;
        PanelCount = (rows + PanelWidth - 1) / PanelWidth;
        _weightSize = GetWeightSize(format);
        SizeInBytes = Measure(rows, columns, format, hasBias);
        long panelBytes = PanelCount * PanelBytes;
        long outputBytes = (long)PanelCount * PanelWidth * sizeof(float);
        _block = block?.Memory.AddUser() ?? new NativeBlock(SizeInBytes);
        _panels = _block.Start + (block?.Start ?? 0);
        byte* end = _panels + panelBytes;
        if (format == WeightFormat.Int8)
        {
            _scales = (float*)end;
            end += outputBytes;
        }

        if (hasBias)
            _bias = (float*)end;

        // The last panel is computed whole.
        if (rows % PanelWidth != 0)
        {
            NativeMemory.Clear(_panels + panelBytes - PanelBytes, (nuint)PanelBytes);
            new Span<float>(_panels + panelBytes, (int)((SizeInBytes - panelBytes) / sizeof(float))).Clear();
        }
    }

    /// <summary>Gets the outputs of a product.</summary>
    public int Rows { get; }

    /// <summary>Gets the inputs of a product.</summary>
    public int Columns { get; }

    public WeightFormat Format { get; }

    public int PanelCount { get; }

    /// <summary>Gets the memory that it takes.</summary>
    public long SizeInBytes { get; }

    private long PanelBytes => (long)Columns * PanelWidth * _weightSize;

    /// <summary>Gives the bytes of memory that a matrix takes.</summary>
    public static long Measure(int rows, int columns, WeightFormat format, bool hasBias)
    {
        long outputs = (rows + PanelWidth - 1L) / PanelWidth * PanelWidth;
        int others = (format == WeightFormat.Int8 ? 1 : 0) + (hasBias ? 1 : 0);
        return outputs * ((long)columns * GetWeightSize(format) + others * sizeof(float));
    }

    /// <summary>Packs a matrix.</summary>
    /// <param name="matrix">[rows, columns].</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="columns">At least 1.</param>
    /// <param name="format">How weights are to lie in memory.</param>
    /// <param name="bias">What is added to each output, always in single precision; empty for nothing.</param>
    public static PackedMatrix Pack(
        ReadOnlySpan<float> matrix, int rows, int columns, WeightFormat format = WeightFormat.Float32, ReadOnlySpan<float> bias = default)
    {
        if (matrix.Length != (long)rows * columns)
            throw new ArgumentException($"A matrix of {rows} rows and {columns} columns has no {matrix.Length} values.", nameof(matrix));
        var packed = new PackedMatrix(rows, columns, format, !bias.IsEmpty);
        packed.SetRows(0, matrix);
        if (!bias.IsEmpty)
            packed.SetBias(bias);
        return packed;
    }

    /// <summary>Packs some rows.</summary>
    /// <param name="first">The first of them.</param>
    /// <param name="values">[count, columns].</param>
    public void SetRows(int first, ReadOnlySpan<float> values)
    {
        RequireMemory();
        int count = values.Length / Columns;
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first, Rows - count);
        for (int row = 0; row < count; row++)
            PackRow(first + row, values.Slice(row * Columns, Columns));
        GC.KeepAlive(this);
    }

    /// <summary>Sets what is added to each output, of a matrix that was made for a bias.</summary>
    public void SetBias(ReadOnlySpan<float> bias)
    {
        RequireMemory();
        if (bias.Length != Rows)
            throw new ArgumentException($"There must be {Rows} biases, but there are {bias.Length}.", nameof(bias));
        bias.CopyTo(new Span<float>(_bias, Rows));
        GC.KeepAlive(this);
    }

    /// <summary>Writes the matrix, [rows, columns]: for <see cref="WeightFormat.Float32"/> what was packed, bit for bit.</summary>
    public void Unpack(Span<float> matrix)
    {
        for (int row = 0; row < Rows; row++)
            ReadRow(row, matrix.Slice(row * Columns, Columns));
    }

    /// <summary>Writes the bias, [rows].</summary>
    public void UnpackBias(Span<float> bias)
    {
        RequireMemory();
        new ReadOnlySpan<float>(_bias, Rows).CopyTo(bias);
        GC.KeepAlive(this);
    }

    /// <summary>Writes one row of the matrix: how an embedding is looked up.</summary>
    public void ReadRow(int row, Span<float> values)
    {
        RequireMemory();
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        byte* weights = Start(row);
        for (int k = 0; k < Columns; k++, weights += PanelWidth * _weightSize)
        {
            values[k] = Format switch
            {
                WeightFormat.Float32 => *(float*)weights,
                WeightFormat.BFloat16 => BFloat16Bits.Widen(*(ushort*)weights),
                _ => *(sbyte*)weights * _scales[row],
            };
        }

        GC.KeepAlive(this);
    }

    /// <summary>Computes <c>y[i, r] = sum_k x[i, k] W[r, k] + b[r]</c>.</summary>
    /// <param name="x">[n, columns].</param>
    /// <param name="n">The number of vectors.</param>
    /// <param name="y">[n, rows].</param>
    public void Multiply(float* x, int n, float* y) => Multiply(x, n, 0, PanelCount, y, Rows);

    /// <summary>Computes the outputs of some panels.</summary>
    /// <param name="x">[n, columns].</param>
    /// <param name="n">The number of vectors.</param>
    /// <param name="firstPanel">The first panel to compute.</param>
    /// <param name="panelCount">How many panels to compute.</param>
    /// <param name="y">Where the first vector's first output of these panels goes.</param>
    /// <param name="stride">From one vector's outputs to the next's.</param>
    public void Multiply(float* x, int n, int firstPanel, int panelCount, float* y, long stride)
    {
        if (Vector512.IsHardwareAccelerated)
            Multiply<SimdVector512>(x, n, firstPanel, panelCount, y, stride);
        else if (Vector256.IsHardwareAccelerated)
            Multiply<SimdVector256>(x, n, firstPanel, panelCount, y, stride);
        else
            Multiply<SimdVector128>(x, n, firstPanel, panelCount, y, stride);
    }

    /// <summary>Computes the outputs of some panels with vectors of a given width.</summary>
    /// <inheritdoc cref="Multiply(float*, int, int, int, float*, long)"/>
    internal void Multiply<TVector>(float* x, int n, int firstPanel, int panelCount, float* y, long stride)
        where TVector : struct, ISimdVector<TVector>
    {
        RequireMemory();
        switch (Format)
        {
            case WeightFormat.Float32:
                Multiply<TVector, Float32Weights>(x, n, firstPanel, panelCount, y, stride);
                break;
            case WeightFormat.BFloat16:
                Multiply<TVector, BFloat16Weights>(x, n, firstPanel, panelCount, y, stride);
                break;
            default:
                Multiply<TVector, Int8Weights>(x, n, firstPanel, panelCount, y, stride);
                break;
        }

        GC.KeepAlive(this);
    }

    public void Dispose()
    {
        if (_panels is null)
            return;
        _panels = null;
        _scales = null;
        _bias = null;
        _block.Release();
    }

    private static int GetWeightSize(WeightFormat format) => format switch
    {
        WeightFormat.Float32 => Float32Weights.Size,
        WeightFormat.BFloat16 => BFloat16Weights.Size,
        WeightFormat.Int8 => Int8Weights.Size,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "format must be one of WeightFormat's values."),
    };

    private void Multiply<TVector, TWeights>(float* x, int n, int firstPanel, int panelCount, float* y, long stride)
        where TVector : struct, ISimdVector<TVector>
        where TWeights : struct, IPackedWeights
    {
        bool endsInPart = firstPanel + panelCount == PanelCount && Rows % PanelWidth != 0;
        int whole = endsInPart ? panelCount - 1 : panelCount;
        if (whole > 0)
            PanelProduct<TVector, TWeights>.Run(Panels(firstPanel, whole), x, n, y, stride);
        if (!endsInPart)
            return;

        // Whole vectors would be written past the last output.
        float* part = stackalloc float[RowsAtOnce * PanelWidth];
        int width = Rows % PanelWidth;
        for (int i = 0; i < n; i += RowsAtOnce)
        {
            int count = Math.Min(RowsAtOnce, n - i);
            PanelProduct<TVector, TWeights>.Run(Panels(PanelCount - 1, 1), x + (long)i * Columns, count, part, PanelWidth);
            for (int row = 0; row < count; row++)
            {
                float* target = y + (i + row) * stride + (long)whole * PanelWidth;
                new ReadOnlySpan<float>(part + row * PanelWidth, width).CopyTo(new Span<float>(target, width));
            }
        }
    }

    private PanelRange Panels(int first, int count) => new(
        _panels + first * PanelBytes,
        Columns,
        count,
        _scales is null ? null : _scales + (long)first * PanelWidth,
        _bias is null ? null : _bias + (long)first * PanelWidth);

    [MethodImpl(HotLoop.Options)]
    private void PackRow(int row, ReadOnlySpan<float> values)
    {
        byte* weights = Start(row);
        switch (Format)
        {
            case WeightFormat.Float32:
                foreach (float value in values)
                {
                    *(float*)weights = value;
                    weights += PanelWidth * sizeof(float);
                }

                break;
            case WeightFormat.BFloat16:
                foreach (float value in values)
                {
                    *(ushort*)weights = BFloat16Bits.RoundWeight(value);
                    weights += PanelWidth * sizeof(ushort);
                }

                break;
            default:
                _scales[row] = Int8Rows.QuantizeRow(values, (sbyte*)weights, PanelWidth);
                break;
        }
    }

    // Where an output's weights start in its panel.
    private byte* Start(int row) => _panels + row / PanelWidth * PanelBytes + row % PanelWidth * _weightSize;

    private void RequireMemory() => ObjectDisposedException.ThrowIf(_panels is null, this);
}
