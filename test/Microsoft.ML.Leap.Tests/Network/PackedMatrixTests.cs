using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class PackedMatrixTests
{
    private static readonly int[] Rows = [1, 5, 31, 32, 33, 100, 160];
    private static readonly int[] Columns = [1, 2, 7, 16, 130];
    private static readonly int[] Counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 17];

    [TestMethod]
    [DataRow(WeightFormat.Float32)]
    [DataRow(WeightFormat.BFloat16)]
    [DataRow(WeightFormat.Int8)]
    public void Multiply_AnyShapeAndWidth_EqualsNaiveProduct(WeightFormat format)
    {
        foreach (int rows in Rows)
        {
            foreach (int columns in Columns)
            {
                float[] matrix = Random(rows * columns, 1);
                float[] bias = Random(rows, 2);
                using PackedMatrix plain = PackedMatrix.Pack(matrix, rows, columns, format);
                using PackedMatrix biased = PackedMatrix.Pack(matrix, rows, columns, format, bias);
                float[] weights = new float[matrix.Length];
                plain.Unpack(weights);
                foreach (int n in Counts)
                {
                    float[] x = Random(n * columns, 3);
                    foreach (Product product in Products(plain))
                        AssertEqualsNaive(weights, new float[rows], x, n, product);
                    foreach (Product product in Products(biased))
                        AssertEqualsNaive(weights, bias, x, n, product);
                }
            }
        }
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32)]
    [DataRow(WeightFormat.BFloat16)]
    [DataRow(WeightFormat.Int8)]
    public void Multiply_AnyRowsAndPanels_GivesTheSameBits(WeightFormat format)
    {
        const int rows = 300, columns = 67, n = 29;
        using PackedMatrix matrix = PackedMatrix.Pack(Random(rows * columns, 1), rows, columns, format, Random(rows, 2));
        float[] x = Random(n * columns, 3);
        float[] expected = new float[n * rows];
        fixed (float* source = x, whole = expected)
        {
            matrix.Multiply(source, n, whole);
            for (int count = 1; count < n; count++)
            {
                float[] part = new float[count * rows];
                fixed (float* target = part)
                    matrix.Multiply(source + columns, count, target);
                CollectionAssert.AreEqual(expected.AsSpan(rows, part.Length).ToArray(), part);
            }

            for (int panel = 0; panel < matrix.PanelCount; panel++)
            {
                int width = Math.Min(PackedMatrix.PanelWidth, rows - panel * PackedMatrix.PanelWidth);
                float[] part = new float[n * width];
                fixed (float* target = part)
                    matrix.Multiply(source, n, panel, 1, target, width);
                for (int i = 0; i < n; i++)
                {
                    CollectionAssert.AreEqual(
                        expected.AsSpan(i * rows + panel * PackedMatrix.PanelWidth, width).ToArray(), part.AsSpan(i * width, width).ToArray());
                }
            }
        }
    }

    [TestMethod]
    public void Unpack_AnyFormat_GivesTheWeightsWithinItsPrecision()
    {
        const int rows = 45, columns = 50;
        float[] matrix = Random(rows * columns, 1);
        matrix.AsSpan(3 * columns, columns).Clear();
        float[] bias = Random(rows, 2);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            using PackedMatrix packed = PackedMatrix.Pack(matrix, rows, columns, format, bias);
            float[] unpacked = new float[matrix.Length];
            float[] unpackedBias = new float[rows];
            packed.Unpack(unpacked);
            packed.UnpackBias(unpackedBias);
            CollectionAssert.AreEqual(bias, unpackedBias);
            for (int row = 0; row < rows; row++)
            {
                float largest = matrix.AsSpan(row * columns, columns).ToArray().Max(Math.Abs);
                float[] looked = new float[columns];
                packed.ReadRow(row, looked);
                for (int k = 0; k < columns; k++)
                {
                    float weight = matrix[row * columns + k];
                    float error = format switch
                    {
                        WeightFormat.Float32 => 0,
                        WeightFormat.BFloat16 => Math.Abs(weight) / 256,
                        _ => largest / 254 * 1.0001f,
                    };
                    Assert.AreEqual(weight, unpacked[row * columns + k], error);
                    Assert.AreEqual(unpacked[row * columns + k], looked[k]);
                }
            }

            // What was rounded once stays.
            using PackedMatrix again = PackedMatrix.Pack(unpacked, rows, columns, format, bias);
            float[] twice = new float[matrix.Length];
            again.Unpack(twice);
            for (int i = 0; i < twice.Length; i++)
                Assert.AreEqual(unpacked[i], twice[i], 2e-7 * Math.Abs(unpacked[i]));
        }
    }

    [TestMethod]
    public void Pack_WrongSizes_AreRefused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => PackedMatrix.Pack(new float[5], 2, 3));
        Assert.ThrowsExactly<ArgumentException>(() => PackedMatrix.Pack(new float[6], 2, 3, bias: new float[3]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => PackedMatrix.Pack([], 0, 3));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => PackedMatrix.Pack(new float[6], 2, 3, (WeightFormat)7));
        PackedMatrix matrix = PackedMatrix.Pack(new float[6], 2, 3);
        matrix.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => matrix.ReadRow(0, new float[3]));
    }

    private delegate void Product(float* x, int n, float* y, long stride);

    private static List<Product> Products(PackedMatrix matrix)
    {
        List<Product> products =
        [
            (x, n, y, stride) => matrix.Multiply(x, n, 0, matrix.PanelCount, y, stride),
            (x, n, y, stride) => matrix.Multiply<SimdVector128>(x, n, 0, matrix.PanelCount, y, stride),
            (x, n, y, stride) => matrix.Multiply<SimdVector256>(x, n, 0, matrix.PanelCount, y, stride),
        ];
        if (Avx512F.IsSupported)
            products.Add((x, n, y, stride) => matrix.Multiply<SimdVector512>(x, n, 0, matrix.PanelCount, y, stride));
        return products;
    }

    private static void AssertEqualsNaive(float[] weights, float[] bias, float[] x, int n, Product product)
    {
        int rows = bias.Length;
        int columns = weights.Length / rows;

        // Room between the outputs of two vectors, which must stay as it is.
        int stride = rows + 3;
        float[] y = new float[n * stride];
        Array.Fill(y, 7);
        fixed (float* source = x, target = y)
            product(source, n, target, stride);
        for (int i = 0; i < n; i++)
        {
            for (int row = 0; row < stride; row++)
            {
                double expected = row < rows ? bias[row] : 7;
                double size = 1;
                for (int k = 0; k < columns && row < rows; k++)
                {
                    double summand = (double)x[i * columns + k] * weights[row * columns + k];
                    expected += summand;
                    size += Math.Abs(summand);
                }

                Assert.AreEqual(expected, y[i * stride + row], 1e-6 * size);
            }
        }
    }

    private static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }
}
