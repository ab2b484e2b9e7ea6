using System.Numerics;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class SlidingSumsTests
{
    private const int Length = 150;

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(7)]
    [DataRow(64)]
    [DataRow(65)]
    [DataRow(Length - 1)]
    [DataRow(Length)]
    [DataRow(Length + 5)]
    public void Write_SpreadSummands_EqualsNaiveSum(int window)
    {
        var shape = new LeapShape(1, Length, 1, Vector<float>.Count + 1, 2, window, 1, null, null);
        using var sums = new SlidingSums<AnyRowSize>(shape.Sums);
        float[][] rows = [.. Enumerable.Range(0, Length).Select(i => SpreadRow(i, shape.RowSize))];
        float[] written = new float[shape.RowSize];

        // The second time, nothing of the first may be left.
        for (int time = 0; time < 2; time++)
        {
            sums.Clear();
            for (int i = 0; i < Length; i++)
            {
                fixed (float* row = rows[i], sum = written)
                {
                    sums.Add(row, 2, row[0]);
                    sums.Write(0.5, sum);
                }

                float[][] seen = rows[Math.Max(0, i - window + 1)..(i + 1)];
                for (int k = 0; k < written.Length; k++)
                    AssertRelative(seen.Sum(row => (double)row[k]), written[k]);
                AssertRelative(seen.Sum(row => (double)row[0]), sums.Number);
            }
        }
    }

    // Positive, over 14 orders of magnitude: what a difference of running sums would lose.
    private static float[] SpreadRow(int seed, int size)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, size).Select(_ => (float)Math.Exp(random.NextDouble() * 32 - 16))];
    }

    private static void AssertRelative(double expected, double actual) => Assert.AreEqual(expected, actual, 2e-7 * expected);
}
