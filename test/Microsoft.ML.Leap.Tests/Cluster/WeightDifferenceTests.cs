namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class WeightDifferenceTests
{
    private const int BlockLength = 256;

    [TestMethod]
    public void Decode_BFloat16Values_AreTheSame()
    {
        float[] values = [0, -0f, 1, -1.5f, 3.140625f, MathF.ScaleB(1, -100), MathF.ScaleB(-1.5f, 100), float.Epsilon * 65536, .. Normal(1000, 1).Select(Truncate)];

        CollectionAssert.AreEqual(values, WeightDifference.Decode(WeightDifference.Encode(values, DifferenceFormat.BFloat16, out _), values.Length));
    }

    [TestMethod]
    public void Decode_BFloat16_IsTheNearestHalvesToEven()
    {
        // The last bit of a bfloat16 at 1 is 2^-7.
        float[] values = [1 + MathF.ScaleB(1, -8), 1 + MathF.ScaleB(1, -7) + MathF.ScaleB(1, -8), 1 + MathF.ScaleB(1, -9), 1 + MathF.ScaleB(1, -8) + MathF.ScaleB(1, -20)];
        float[] expected = [1, 1 + MathF.ScaleB(1, -6), 1, 1 + MathF.ScaleB(1, -7)];

        CollectionAssert.AreEqual(expected, WeightDifference.Decode(WeightDifference.Encode(values, DifferenceFormat.BFloat16, out _), values.Length));
    }

    [TestMethod]
    public void Decode_Quantized_IsOffByAnEighthOfTheDeviationAtMost()
    {
        // Blocks of other sizes, and a last one that is short.
        float[] values = [.. Normal(BlockLength, 1), .. Normal(BlockLength, 1e-6f), .. Normal(BlockLength, 1e4f), .. Normal(100, 0.3f)];

        float[] decoded = WeightDifference.Decode(WeightDifference.Encode(values, DifferenceFormat.Quantized, out _), values.Length);

        double sumOfSquares = 0, energy = 0;
        foreach ((float[] block, float[] found) in values.Chunk(BlockLength).Zip(decoded.Chunk(BlockLength)))
        {
            double deviation = Math.Sqrt(block.Average(value => (double)value * value));
            for (int i = 0; i < block.Length; i++)
            {
                // The step is a quarter of the deviation in bfloat16, which has 8 bits; so the half of it is off by a 256th at most.
                Assert.IsLessThanOrEqualTo(deviation / 8 * (1 + 1.0 / 256), Math.Abs(block[i] - found[i]));
                sumOfSquares += Math.Pow((block[i] - found[i]) / deviation, 2);
                energy += Math.Pow(block[i] / deviation, 2);
            }
        }

        Assert.AreEqual(1.0 / 192, sumOfSquares / energy, 0.0005);
    }

    [TestMethod]
    public void Decode_QuantizedOutlier_IsNotClipped()
    {
        float[] values = new float[70_000];
        values[3] = 5;

        float[] decoded = WeightDifference.Decode(WeightDifference.Encode(values, DifferenceFormat.Quantized, out _), values.Length);

        // The one value of its block, the most deviations that there can be: the deviation is 5 / 16, the step a quarter of it, and 5 are 64 steps.
        Assert.AreEqual(5f, decoded[3]);
        decoded[3] = 0;
        Assert.IsTrue(Array.TrueForAll(decoded, value => value == 0));
    }

    [TestMethod]
    public void Encode_QuantizedNormalValues_TakesAboutFourBits()
    {
        float[] values = Normal(200_000, 0.01f);

        double bits = WeightDifference.Encode(values, DifferenceFormat.Quantized, out _).Length * 8.0 / values.Length;

        // 4.05 bits of entropy, a Huffman code's whole bits, and 16 bits per block of 256.
        Assert.IsGreaterThan(4.05, bits);
        Assert.IsLessThan(4.3, bits);
    }

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized)]
    [DataRow(DifferenceFormat.BFloat16)]
    public void Decode_ZerosAmongOthers_StayZeros(DifferenceFormat format)
    {
        float[] values = [.. Normal(BlockLength, 1), .. new float[BlockLength], .. Normal(BlockLength, 1)];

        float[] decoded = WeightDifference.Decode(WeightDifference.Encode(values, format, out _), values.Length);

        CollectionAssert.AreEqual(new float[BlockLength], decoded[BlockLength..(2 * BlockLength)]);
        Assert.AreNotEqual(0, decoded[0]);
    }

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized)]
    [DataRow(DifferenceFormat.BFloat16)]
    public void Decode_NoValues_IsEmpty(DifferenceFormat format) => Assert.IsEmpty(WeightDifference.Decode(WeightDifference.Encode([], format, out _), 0));

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized)]
    [DataRow(DifferenceFormat.BFloat16)]
    public void Encode_Rounded_IsWhatDecodeGives(DifferenceFormat format)
    {
        float[] values = [.. Normal(700, 1), .. Normal(BlockLength, 1e-6f), .. new float[BlockLength], 1e30f, -1e30f, .. Normal(300, 1e3f)];

        byte[] bytes = WeightDifference.Encode(values, format, out float[] rounded);

        CollectionAssert.AreEqual(WeightDifference.Decode(bytes, values.Length), rounded);
    }

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized)]
    [DataRow(DifferenceFormat.BFloat16)]
    public void Encode_Twice_GivesTheSameBytes(DifferenceFormat format)
    {
        float[] values = Normal(1000, 1);
        CollectionAssert.AreEqual(WeightDifference.Encode(values, format, out _), WeightDifference.Encode(values, format, out _));
    }

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized)]
    [DataRow(DifferenceFormat.BFloat16)]
    public void Decode_CutOrOfAnotherLength_Throws(DifferenceFormat format)
    {
        const int count = 600;
        byte[] whole = WeightDifference.Encode(Normal(count, 1), format, out _);

        for (int length = 0; length < whole.Length - 8; length += 7)
            Assert.ThrowsExactly<FormatException>(() => WeightDifference.Decode(whole.AsSpan(0, length), count), $"{length} bytes");
        Assert.ThrowsExactly<FormatException>(() => WeightDifference.Decode(whole, count + 1));
        Assert.ThrowsExactly<FormatException>(() => WeightDifference.Decode(whole, count - 1));
    }

    [TestMethod]
    public void Decode_UnknownFormat_Throws()
    {
        byte[] bytes = WeightDifference.Encode([1], DifferenceFormat.BFloat16, out _);
        bytes[0] = 9;

        FormatException exception = Assert.ThrowsExactly<FormatException>(() => WeightDifference.Decode(bytes, 1));
        StringAssert.Contains(exception.Message, "format 9");
    }

    // Whatever arrives, the silo that decodes it goes on.
    [TestMethod]
    public void Decode_DamagedBytes_GivesValuesOrThrowsFormatException()
    {
        const int count = 600;
        byte[] whole = WeightDifference.Encode(Normal(count, 1), DifferenceFormat.Quantized, out _);
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. whole];
            damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                Assert.HasCount(count, WeightDifference.Decode(damaged, count));
            }
            catch (FormatException)
            {
                refused++;
            }
        }

        Assert.IsGreaterThan(0, refused);
    }

    private static float Truncate(float value) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);

    private static float[] Normal(int count, float deviation)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(_ =>
            (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }
}
