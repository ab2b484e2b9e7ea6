using System.Buffers.Binary;
using System.IO.Compression;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>How differences of weights travel.</summary>
public enum DifferenceFormat
{
    /// <summary>About 4 bits per weight. What rounding leaves is added to the next difference, so that nothing is lost over the rounds.</summary>
    Quantized,

    /// <summary>16 bits per weight: bfloat16.</summary>
    BFloat16,
}

/// <summary>Differences of weights as bytes.</summary>
/// <remarks>
/// <para>The quantized form has, for each block of 256 values, their root mean square r, and for each value the nearest multiple of r / 4. Of normally
/// distributed values the multiples have an entropy of 4.05 bits (1/2 log2(2 pi e) - log2(1/4)), and their rounding has 1/192 of the values' energy. A
/// Huffman code from zlib comes close to the entropy.</para>
/// <para>All machines decode to the same bits.</para>
/// </remarks>
internal static class WeightDifference
{
    private const int BlockLength = 256;
    private const float StepsPerDeviation = 4;
    private const int HeaderLength = 8;

    /// <summary>Encodes a difference.</summary>
    /// <param name="difference">The values.</param>
    /// <param name="format">How they travel.</param>
    /// <param name="rounded">What <see cref="Decode"/> gives of them.</param>
    public static byte[] Encode(ReadOnlySpan<float> difference, DifferenceFormat format, out float[] rounded)
    {
        byte[] header = new byte[HeaderLength];
        BinaryPrimitives.WriteInt32LittleEndian(header, (int)format);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(4), difference.Length);
        if (format == DifferenceFormat.Quantized)
            return [.. header, .. Quantize(difference, out rounded)];
        ushort[] halves = Round(difference);
        rounded = Widen(halves);
        return [.. header, .. MemoryMarshal.AsBytes<ushort>(halves)];
    }

    /// <summary>Decodes a difference.</summary>
    /// <param name="bytes">What <see cref="Encode"/> gave.</param>
    /// <param name="count">The values that it must have.</param>
    /// <exception cref="FormatException">The bytes are damaged, or hold another number of values.</exception>
    public static float[] Decode(ReadOnlySpan<byte> bytes, int count)
    {
        if (bytes.Length < HeaderLength)
            throw new FormatException($"A difference of weights has {bytes.Length} bytes, which are too few.");
        var format = (DifferenceFormat)BinaryPrimitives.ReadInt32LittleEndian(bytes);
        int found = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        if (!Enum.IsDefined(format) || found != count)
            throw new FormatException($"A difference of weights is of format {format} and of {found} values, where {count} are needed.");
        ReadOnlySpan<byte> rest = bytes[HeaderLength..];
        return format == DifferenceFormat.Quantized ? Restore(rest, count) : rest.Length == count * sizeof(ushort)
            ? Widen(MemoryMarshal.Cast<byte, ushort>(rest))
            : throw new FormatException($"A difference of {count} weights in bfloat16 has {rest.Length} bytes.");
    }

    private static ushort[] Round(ReadOnlySpan<float> values)
    {
        ushort[] rounded = new ushort[values.Length];
        for (int i = 0; i < rounded.Length; i++)
            rounded[i] = RoundToBFloat16(values[i]);
        return rounded;
    }

    private static float[] Widen(ReadOnlySpan<ushort> rounded)
    {
        float[] values = new float[rounded.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = Widen(rounded[i]);
        return values;
    }

    // To the nearest, halves to even.
    private static ushort RoundToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static float Widen(ushort rounded) => BitConverter.UInt32BitsToSingle((uint)rounded << 16);

    private static byte[] Quantize(ReadOnlySpan<float> values, out float[] rounded)
    {
        ushort[] steps = new ushort[(values.Length + BlockLength - 1) / BlockLength];
        sbyte[] multiples = new sbyte[values.Length];
        Span<float> quotients = stackalloc float[BlockLength];
        for (int block = 0; block < steps.Length; block++)
        {
            int start = block * BlockLength;
            ReadOnlySpan<float> part = values.Slice(start, Math.Min(BlockLength, values.Length - start));
            steps[block] = RoundToBFloat16(MathF.Sqrt(TensorPrimitives.SumOfSquares(part) / part.Length) / StepsPerDeviation);
            float step = Widen(steps[block]);
            if (step == 0)
                continue;
            Span<float> found = quotients[..part.Length];
            TensorPrimitives.Divide(part, step, found);
            TensorPrimitives.Round(found, found);
            TensorPrimitives.ConvertSaturating<float, sbyte>(found, multiples.AsSpan(start, part.Length));
        }

        rounded = Multiply(multiples, steps);
        using var packed = new MemoryStream();
        packed.Write(MemoryMarshal.AsBytes<ushort>(steps));
        var onlyHuffman = new ZLibCompressionOptions { CompressionStrategy = ZLibCompressionStrategy.HuffmanOnly };
        using (var compressor = new ZLibStream(packed, onlyHuffman, leaveOpen: true))
            compressor.Write(MemoryMarshal.AsBytes<sbyte>(multiples));
        return packed.ToArray();
    }

    private static float[] Restore(ReadOnlySpan<byte> packed, int count)
    {
        int stepBytes = (count + BlockLength - 1) / BlockLength * sizeof(ushort);
        if (packed.Length < stepBytes)
            throw new FormatException($"A difference of {count} weights ends after {packed.Length} bytes.");
        ReadOnlySpan<ushort> steps = MemoryMarshal.Cast<byte, ushort>(packed[..stepBytes]);
        sbyte[] multiples = new sbyte[count];
        using var decompressor = new ZLibStream(new MemoryStream(packed[stepBytes..].ToArray()), CompressionMode.Decompress);
        try
        {
            decompressor.ReadExactly(MemoryMarshal.AsBytes(multiples.AsSpan()));
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new FormatException($"A difference of {count} weights is damaged: {e.Message}", e);
        }

        return Multiply(multiples, steps);
    }

    private static float[] Multiply(sbyte[] multiples, ReadOnlySpan<ushort> steps)
    {
        float[] values = new float[multiples.Length];
        for (int block = 0; block < steps.Length; block++)
        {
            int start = block * BlockLength;
            Span<float> part = values.AsSpan(start, Math.Min(BlockLength, values.Length - start));
            TensorPrimitives.ConvertChecked<sbyte, float>(multiples.AsSpan(start, part.Length), part);
            TensorPrimitives.Multiply(part, Widen(steps[block]), part);
        }

        return values;
    }
}
