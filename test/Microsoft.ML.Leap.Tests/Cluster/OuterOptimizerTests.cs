namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class OuterOptimizerTests
{
    private const int Count = 2000;

    [TestMethod]
    [DataRow(DifferenceFormat.BFloat16, 0.7, 0.9)]
    [DataRow(DifferenceFormat.Quantized, 0.7, 0.9)]
    [DataRow(DifferenceFormat.Quantized, 1.0, 0.0)]
    public void Step_ManyRounds_FollowsTheFormula(DifferenceFormat format, double rate, double momentum)
    {
        var optimizer = new OuterOptimizer(rate, momentum, format);
        var weights = OuterWeights.Create(Values(0, 1));
        double[] expected = [.. weights.Weights.Select(value => (double)value)];
        double[] velocity = new double[Count];

        for (int round = 1; round <= 10; round++)
        {
            float[][] differences = [Values(3 * round, 0.01f), Values(3 * round + 1, 0.01f), Values(3 * round + 2, 0.02f)];
            (OuterWeights after, byte[] change) = optimizer.Step(weights, differences);

            // What the workers add is what the weights have changed by, to the bit.
            float[] sent = WeightDifference.Decode(change, Count);
            for (int i = 0; i < Count; i++)
                Assert.AreEqual(weights.Weights[i] + sent[i], after.Weights[i]);

            weights = after;
            for (int i = 0; i < Count; i++)
            {
                double mean = differences.Average(difference => (double)difference[i]);
                velocity[i] = momentum * velocity[i] + mean;
                expected[i] -= rate * (mean + momentum * velocity[i]);

                // What rounding leaves is kept: it does not add up over the rounds.
                Assert.AreEqual(expected[i], weights.Weights[i] + (double)weights.Rest[i], 3e-6, $"round {round}, weight {i}");
                Assert.AreEqual(velocity[i], weights.Velocity[i], 1e-6);
            }
        }

        Assert.Contains(rest => rest != 0, weights.Rest);
    }

    [TestMethod]
    public void Step_RateOneWithoutMomentum_GivesTheMeanOfTheWorkers()
    {
        float[] before = Values(1, 1);
        float[][] workers = [Near(before, 2), Near(before, 3)];
        float[][] differences = [.. workers.Select(worker => before.Zip(worker, (a, b) => a - b).ToArray())];

        (OuterWeights after, _) = new OuterOptimizer(1, 0, DifferenceFormat.BFloat16).Step(OuterWeights.Create(before), differences);

        for (int i = 0; i < Count; i++)
            Assert.AreEqual((workers[0][i] + workers[1][i]) / 2.0, after.Weights[i], 1e-4);
    }

    [TestMethod]
    public void Step_Weights_LeavesTheOldOnesAsTheyAre()
    {
        var before = OuterWeights.Create(Values(1, 1));
        float[] copy = [.. before.Weights];
        float[] difference = Values(2, 1);

        new OuterOptimizer(0.7, 0.9, DifferenceFormat.Quantized).Step(before, [difference, difference]);

        CollectionAssert.AreEqual(copy, before.Weights);
        CollectionAssert.AreEqual(Values(2, 1), difference);
        CollectionAssert.AreEqual(new float[Count], before.Rest);
    }

    private static float[] Near(float[] values, int seed) => [.. values.Zip(Values(seed, 0.01f), (a, b) => a + b)];

    private static float[] Values(int seed, float size)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Count).Select(_ => size * (2 * random.NextSingle() - 1))];
    }
}
