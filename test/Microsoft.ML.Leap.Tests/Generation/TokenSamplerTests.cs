namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenSamplerTests
{
    private static readonly float[] Logits = [1, 3, 2, 3, -1];

    [TestMethod]
    public void Draw_Greedy_TakesTheFirstMaximum() => Assert.AreEqual(1, Sampler(new() { Temperature = 0 }, 1).Draw(Logits, [], []));

    [TestMethod]
    public void Draw_TopOne_TakesTheFirstMaximum()
    {
        var sampler = Sampler(new() { Temperature = 5, TopK = 1 }, 1);
        for (int i = 0; i < 50; i++)
            Assert.AreEqual(1, sampler.Draw(Logits, [], []));
    }

    [TestMethod]
    [DataRow(1.0, 0)]
    [DataRow(0.5, 0)]
    [DataRow(2.0, 3)]
    public void Draw_ManyTimes_FollowsTheSoftmax(double temperature, int topK)
    {
        const int Draws = 40_000;
        var sampler = Sampler(new() { Temperature = temperature, TopK = topK }, 11);
        int[] counts = new int[Logits.Length];
        for (int i = 0; i < Draws; i++)
            counts[sampler.Draw(Logits, [], [])]++;

        int[] allowed = [.. Enumerable.Range(0, Logits.Length).OrderByDescending(i => Logits[i]).Take(topK == 0 ? 5 : topK)];
        double total = allowed.Sum(i => Math.Exp(Logits[i] / temperature));
        for (int i = 0; i < Logits.Length; i++)
        {
            double expected = allowed.Contains(i) ? Math.Exp(Logits[i] / temperature) / total : 0;

            // Five standard deviations of the count of a binomial.
            Assert.AreEqual(expected, (double)counts[i] / Draws, 5 * Math.Sqrt(expected * (1 - expected) / Draws), $"token {i}");
        }
    }

    [TestMethod]
    public void Draw_SameSeed_RepeatsItself()
    {
        int[] Draws(int seed)
        {
            var sampler = Sampler(new(), seed);
            return [.. Enumerable.Range(0, 100).Select(_ => sampler.Draw(Logits, [], []))];
        }

        CollectionAssert.AreEqual(Draws(3), Draws(3));
        CollectionAssert.AreNotEqual(Draws(3), Draws(4));
    }

    [TestMethod]
    public void Draw_TinyTemperature_DoesNotOverflow() => Assert.IsTrue(Sampler(new() { Temperature = 1e-6 }, 1).Draw([1000, 2000, -3000], [], []) == 1);

    [TestMethod]
    [DataRow(1e-38)]
    [DataRow(2.9e-39)]
    [DataRow(1e-300)]
    [DataRow(double.Epsilon)]
    public void Draw_TemperatureNextToZero_IsGreedy(double temperature)
    {
        TokenSampler sampler = Sampler(new() { Temperature = temperature }, 1);
        for (int i = 0; i < 20; i++)
            Assert.AreEqual(2, sampler.Draw([1, -1, 2, float.NegativeInfinity], [], [3]));
    }

    [TestMethod]
    [DataRow(1.0, -1e300, 0.0, 0f, 4)]
    [DataRow(1.0, 0.0, -1e308, 0f, 4)]
    [DataRow(1e-300, 0.0, 0.0, 0f, 4)]
    [DataRow(1e-300, -1e308, 1e308, 0f, 1)]
    [DataRow(1.0, -3e38, 0.0, 3e38f, 4)]
    [DataRow(1.0, 1e300, 1e300, -3e38f, 1)]
    public void Draw_OptionsBeyondSinglePrecision_KeepTheirMeaning(double repetition, double presence, double frequency, float bias, int expected)
    {
        GenerationOptions options = new()
        {
            RepetitionPenalty = repetition,
            PresencePenalty = presence,
            FrequencyPenalty = frequency,
            LogitBias = new Dictionary<int, float> { [4] = bias },
        };

        // Unless the options prefer the last, which has been there, all but the second are out of the question.
        float[] logits = [1, 40, 2, 3, 0.5f];
        Assert.AreEqual(expected, Sampler(options with { Temperature = 0 }, 1).Draw(logits, [4, 4], []));
        Assert.AreEqual(expected, Sampler(options, 1).Draw(logits, [4, 4], []));
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Draw_LogitThatIsNoNumberAndPenalised_SaysSo(float logit)
    {
        TokenSampler sampler = Sampler(new() { PresencePenalty = 1e300 }, 1);
        Assert.ThrowsExactly<InvalidOperationException>(() => sampler.Draw([1, logit, 2], [1], []));
    }

    private static TokenSampler Sampler(GenerationOptions options, int seed) => new(options, seed);
}
