using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>Panels of a <see cref="PackedMatrix"/> that lie one after another.</summary>
/// <param name="weights">[count][columns][32].</param>
/// <param name="columns">The number of columns.</param>
/// <param name="count">The number of panels.</param>
/// <param name="scales">What outputs are multiplied by, [count][32]; null where the format has no scales.</param>
/// <param name="bias">What is added to outputs, [count][32]; null for nothing.</param>
internal readonly unsafe struct PanelRange(byte* weights, int columns, int count, float* scales, float* bias)
{
    public byte* Weights { get; } = weights;

    public int Columns { get; } = columns;

    public int Count { get; } = count;

    public float* Scales { get; } = scales;

    public float* Bias { get; } = bias;
}

/// <summary>The product of panels and vectors, for one width of SIMD vectors and one format of weights.</summary>
/// <remarks>
/// A tile is what the registers hold: some vectors by some strips, which are two SIMD vectors of outputs side by side. With many vectors it is
/// 8 by 1 or 4 by 1, so that weights, once loaded and widened, serve as often as possible. With two it is 2 by 2, and with one 1 by 4: so many
/// sums at once that the time is that of reading the weights, and not of waiting for the last addition. Single precision has more to read: there a
/// tile with one vector is a panel, so that memory is read in one sequence: measured, 0.5 to 0.9 of the time of four strips.
/// In each, an output is one sum over the columns in their order.
/// </remarks>
internal static unsafe class PanelProduct<TVector, TWeights>
    where TVector : struct, ISimdVector<TVector>
    where TWeights : struct, IPackedWeights
{
    private const int Width = PackedMatrix.PanelWidth;

    // Strips of one pass of the weights through the cache.
    private const int StripsAtOnce = 4;

    private static int StripWidth => 2 * TVector.Count;

    // A panel, or four strips.
    private static int StripsOfOneVector => TWeights.Size == sizeof(float) ? Width / StripWidth : StripsAtOnce;

    /// <summary>Computes the outputs of whole panels.</summary>
    /// <param name="panels">The panels.</param>
    /// <param name="x">[n, columns].</param>
    /// <param name="n">The number of vectors.</param>
    /// <param name="y">Where the first vector's first output goes.</param>
    /// <param name="stride">From one vector's outputs to the next's.</param>
    [MethodImpl(HotLoop.Options)]
    public static void Run(PanelRange panels, float* x, int n, float* y, long stride)
    {
        int most = TVector.HasManyRegisters ? 8 : 4;
        int end = panels.Count * Width / StripWidth;
        int tall = n - n % 4;
        for (int first = 0; first < end; first += StripsAtOnce)
        {
            int last = Math.Min(first + StripsAtOnce, end) - 1;
            for (int strip = first; strip <= last; strip++)
            {
                int row = 0;
                if (most == 8)
                {
                    for (; row + 8 <= n; row += 8)
                        Tile8(panels, strip, x + (nint)row * panels.Columns, y + row * stride, stride);
                }

                for (; row + 4 <= n; row += 4)
                    Tile4(panels, strip, x + (nint)row * panels.Columns, y + row * stride, stride);
            }

            float* restX = x + (nint)tall * panels.Columns;
            float* restY = y + tall * stride;
            if ((n & 2) != 0)
            {
                for (int strip = first; strip <= last; strip += 2)
                    Tile2(panels, strip, Math.Min(strip + 1, last), restX, restY, stride);
                restX += 2 * panels.Columns;
                restY += 2 * stride;
            }

            if ((n & 1) == 0)
                continue;
            for (int strip = first; strip <= last; strip += StripsOfOneVector)
            {
                // At the end there may be less than four strips: the last then stands in for those that are missing.
                if (StripsOfOneVector == 1)
                    Tile1By1(panels, strip, restX, restY);
                else if (StripsOfOneVector == 2)
                    Tile1By2(panels, strip, strip + 1, restX, restY);
                else
                    Tile1By4(panels, strip, Math.Min(strip + 1, last), Math.Min(strip + 2, last), Math.Min(strip + 3, last), restX, restY);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile8(PanelRange panels, int strip, float* x, float* y, long stride)
    {
        byte* w = Weights(panels, strip);
        nint columns = panels.Columns;
        float* x1 = x + columns, x2 = x1 + columns, x3 = x2 + columns, x4 = x3 + columns, x5 = x4 + columns, x6 = x5 + columns, x7 = x6 + columns;
        TVector a0 = TVector.Create(0), b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0;
        TVector a4 = a0, b4 = a0, a5 = a0, b5 = a0, a6 = a0, b6 = a0, a7 = a0, b7 = a0;
        for (nint k = 0; k < columns; k++, w += Width * TWeights.Size)
        {
            TVector a = TWeights.Load<TVector>(w, 0);
            TVector b = TWeights.Load<TVector>(w, TVector.Count);
            TVector value = TVector.Create(x[k]);
            a0 = TVector.MultiplyAdd(a, value, a0);
            b0 = TVector.MultiplyAdd(b, value, b0);
            value = TVector.Create(x1[k]);
            a1 = TVector.MultiplyAdd(a, value, a1);
            b1 = TVector.MultiplyAdd(b, value, b1);
            value = TVector.Create(x2[k]);
            a2 = TVector.MultiplyAdd(a, value, a2);
            b2 = TVector.MultiplyAdd(b, value, b2);
            value = TVector.Create(x3[k]);
            a3 = TVector.MultiplyAdd(a, value, a3);
            b3 = TVector.MultiplyAdd(b, value, b3);
            value = TVector.Create(x4[k]);
            a4 = TVector.MultiplyAdd(a, value, a4);
            b4 = TVector.MultiplyAdd(b, value, b4);
            value = TVector.Create(x5[k]);
            a5 = TVector.MultiplyAdd(a, value, a5);
            b5 = TVector.MultiplyAdd(b, value, b5);
            value = TVector.Create(x6[k]);
            a6 = TVector.MultiplyAdd(a, value, a6);
            b6 = TVector.MultiplyAdd(b, value, b6);
            value = TVector.Create(x7[k]);
            a7 = TVector.MultiplyAdd(a, value, a7);
            b7 = TVector.MultiplyAdd(b, value, b7);
        }

        Store(panels, strip, a0, b0, y);
        Store(panels, strip, a1, b1, y + stride);
        Store(panels, strip, a2, b2, y + 2 * stride);
        Store(panels, strip, a3, b3, y + 3 * stride);
        Store(panels, strip, a4, b4, y + 4 * stride);
        Store(panels, strip, a5, b5, y + 5 * stride);
        Store(panels, strip, a6, b6, y + 6 * stride);
        Store(panels, strip, a7, b7, y + 7 * stride);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile4(PanelRange panels, int strip, float* x, float* y, long stride)
    {
        byte* w = Weights(panels, strip);
        nint columns = panels.Columns;
        float* x1 = x + columns, x2 = x1 + columns, x3 = x2 + columns;
        TVector a0 = TVector.Create(0), b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0;
        for (nint k = 0; k < columns; k++, w += Width * TWeights.Size)
        {
            TVector a = TWeights.Load<TVector>(w, 0);
            TVector b = TWeights.Load<TVector>(w, TVector.Count);
            TVector value = TVector.Create(x[k]);
            a0 = TVector.MultiplyAdd(a, value, a0);
            b0 = TVector.MultiplyAdd(b, value, b0);
            value = TVector.Create(x1[k]);
            a1 = TVector.MultiplyAdd(a, value, a1);
            b1 = TVector.MultiplyAdd(b, value, b1);
            value = TVector.Create(x2[k]);
            a2 = TVector.MultiplyAdd(a, value, a2);
            b2 = TVector.MultiplyAdd(b, value, b2);
            value = TVector.Create(x3[k]);
            a3 = TVector.MultiplyAdd(a, value, a3);
            b3 = TVector.MultiplyAdd(b, value, b3);
        }

        Store(panels, strip, a0, b0, y);
        Store(panels, strip, a1, b1, y + stride);
        Store(panels, strip, a2, b2, y + 2 * stride);
        Store(panels, strip, a3, b3, y + 3 * stride);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile2(PanelRange panels, int strip, int nextStrip, float* x, float* y, long stride)
    {
        byte* w = Weights(panels, strip);
        byte* v = Weights(panels, nextStrip);
        nint columns = panels.Columns;
        float* x1 = x + columns;
        TVector a0 = TVector.Create(0), b0 = a0, c0 = a0, d0 = a0, a1 = a0, b1 = a0, c1 = a0, d1 = a0;
        for (nint k = 0; k < columns; k++, w += Width * TWeights.Size, v += Width * TWeights.Size)
        {
            TVector a = TWeights.Load<TVector>(w, 0);
            TVector b = TWeights.Load<TVector>(w, TVector.Count);
            TVector c = TWeights.Load<TVector>(v, 0);
            TVector d = TWeights.Load<TVector>(v, TVector.Count);
            TVector value = TVector.Create(x[k]);
            a0 = TVector.MultiplyAdd(a, value, a0);
            b0 = TVector.MultiplyAdd(b, value, b0);
            c0 = TVector.MultiplyAdd(c, value, c0);
            d0 = TVector.MultiplyAdd(d, value, d0);
            value = TVector.Create(x1[k]);
            a1 = TVector.MultiplyAdd(a, value, a1);
            b1 = TVector.MultiplyAdd(b, value, b1);
            c1 = TVector.MultiplyAdd(c, value, c1);
            d1 = TVector.MultiplyAdd(d, value, d1);
        }

        Store(panels, strip, a0, b0, y);
        Store(panels, strip, a1, b1, y + stride);
        Store(panels, nextStrip, c0, d0, y);
        Store(panels, nextStrip, c1, d1, y + stride);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile1By1(PanelRange panels, int strip, float* x, float* y)
    {
        byte* w = Weights(panels, strip);
        nint end = (nint)panels.Columns * Width;
        TVector a = TVector.Create(0), b = a;
        for (nint index = 0; index < end; index += Width, x++)
        {
            TVector value = TVector.Create(*x);
            a = TVector.MultiplyAdd(TWeights.Load<TVector>(w, index), value, a);
            b = TVector.MultiplyAdd(TWeights.Load<TVector>(w, index + TVector.Count), value, b);
        }

        Store(panels, strip, a, b, y);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile1By2(PanelRange panels, int strip0, int strip1, float* x, float* y)
    {
        byte* w0 = Weights(panels, strip0), w1 = Weights(panels, strip1);
        nint end = (nint)panels.Columns * Width;
        TVector a0 = TVector.Create(0), b0 = a0, a1 = a0, b1 = a0;
        for (nint index = 0; index < end; index += Width, x++)
        {
            TVector value = TVector.Create(*x);
            a0 = TVector.MultiplyAdd(TWeights.Load<TVector>(w0, index), value, a0);
            b0 = TVector.MultiplyAdd(TWeights.Load<TVector>(w0, index + TVector.Count), value, b0);
            a1 = TVector.MultiplyAdd(TWeights.Load<TVector>(w1, index), value, a1);
            b1 = TVector.MultiplyAdd(TWeights.Load<TVector>(w1, index + TVector.Count), value, b1);
        }

        Store(panels, strip0, a0, b0, y);
        Store(panels, strip1, a1, b1, y);
    }

    [MethodImpl(HotLoop.Options)]
    private static void Tile1By4(PanelRange panels, int strip0, int strip1, int strip2, int strip3, float* x, float* y)
    {
        byte* w0 = Weights(panels, strip0), w1 = Weights(panels, strip1), w2 = Weights(panels, strip2), w3 = Weights(panels, strip3);
        nint columns = panels.Columns;
        nint end = columns * Width;
        TVector a0 = TVector.Create(0), b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0;
        for (nint index = 0; index < end; index += Width, x++)
        {
            TVector value = TVector.Create(*x);
            a0 = TVector.MultiplyAdd(TWeights.Load<TVector>(w0, index), value, a0);
            b0 = TVector.MultiplyAdd(TWeights.Load<TVector>(w0, index + TVector.Count), value, b0);
            a1 = TVector.MultiplyAdd(TWeights.Load<TVector>(w1, index), value, a1);
            b1 = TVector.MultiplyAdd(TWeights.Load<TVector>(w1, index + TVector.Count), value, b1);
            a2 = TVector.MultiplyAdd(TWeights.Load<TVector>(w2, index), value, a2);
            b2 = TVector.MultiplyAdd(TWeights.Load<TVector>(w2, index + TVector.Count), value, b2);
            a3 = TVector.MultiplyAdd(TWeights.Load<TVector>(w3, index), value, a3);
            b3 = TVector.MultiplyAdd(TWeights.Load<TVector>(w3, index + TVector.Count), value, b3);
        }

        Store(panels, strip0, a0, b0, y);
        Store(panels, strip1, a1, b1, y);
        Store(panels, strip2, a2, b2, y);
        Store(panels, strip3, a3, b3, y);
    }

    private static byte* Weights(PanelRange panels, int strip)
    {
        int output = strip * StripWidth;
        return panels.Weights + ((nint)(output / Width) * panels.Columns * Width + output % Width) * TWeights.Size;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(PanelRange panels, int strip, TVector low, TVector high, float* y)
    {
        int output = strip * StripWidth;
        if (TWeights.HasScales)
        {
            low *= TVector.Load(panels.Scales + output);
            high *= TVector.Load(panels.Scales + output + TVector.Count);
        }

        if (panels.Bias is not null)
        {
            low += TVector.Load(panels.Bias + output);
            high += TVector.Load(panels.Bias + output + TVector.Count);
        }

        low.Store(y + output);
        high.Store(y + output + TVector.Count);
    }
}
