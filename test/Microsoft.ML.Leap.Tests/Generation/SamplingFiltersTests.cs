namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SamplingFiltersTests
{
    private const int Draws = 20_000;

    private static readonly float[] Logits = [.. Enumerable.Range(0, 40).Select(i => (float)(3 * Math.Sin(i * 1.7) - (i % 7 == 0 ? 2 : 0)))];

    private static readonly int[] Recent = [5, 5, 5, 9, 20, 39];

    public static IEnumerable<object[]> Options =>
    [
        [new GenerationOptions()],
        [new GenerationOptions { Temperature = 0.7 }],
        [new GenerationOptions { TopK = 5, Temperature = 2 }],
        [new GenerationOptions { TopP = 0.6 }],
        [new GenerationOptions { TopP = 1e-9 }],
        [new GenerationOptions { MinP = 0.2, Temperature = 1.5 }],
        [new GenerationOptions { TypicalP = 0.5 }],
        [new GenerationOptions { TopK = 20, TopP = 0.9, MinP = 0.1, TypicalP = 0.8, Temperature = 1.3 }],
        [new GenerationOptions { RepetitionPenalty = 1.8 }],
        [new GenerationOptions { PresencePenalty = 0.7, FrequencyPenalty = 0.5 }],
        [new GenerationOptions { RepetitionPenalty = 1.3, PresencePenalty = 0.4, FrequencyPenalty = -0.2, PenaltyWindow = 2, TopP = 0.8 }],
        [new GenerationOptions { PresencePenalty = 3, PenaltyWindow = 0 }],
        [new GenerationOptions { LogitBias = new Dictionary<int, float> { [3] = 4, [1] = -9 }, BannedTokens = [8, 2], TopK = 30 }],
    ];

    [TestMethod]
    [DynamicData(nameof(Options))]
    public void Draw_WithOptions_FollowsTheTextbook(GenerationOptions options)
    {
        double[] expected = Textbook(options);
        var sampler = new TokenSampler(options, 17);
        int[] counts = new int[Logits.Length];
        for (int i = 0; i < Draws; i++)
            counts[sampler.Draw(Logits, Recent, [])]++;

        // Five standard deviations of a binomial count; what may not be drawn never is.
        for (int i = 0; i < counts.Length; i++)
            Assert.AreEqual(expected[i], (double)counts[i] / Draws, 5 * Math.Sqrt(expected[i] * (1 - expected[i]) / Draws), $"token {i} with {options}");
        Assert.IsGreaterThan(0, counts.Max());
    }

    [TestMethod]
    public void Draw_Greedy_HeedsPenaltiesBiasAndBans()
    {
        float[] logits = [1, 5, 4.9f, 0];
        Assert.AreEqual(2, Draw(new() { Temperature = 0, PresencePenalty = 0.2 }, [1]));
        Assert.AreEqual(2, Draw(new() { Temperature = 0, BannedTokens = [1] }, []));
        Assert.AreEqual(0, Draw(new() { Temperature = 0, LogitBias = new Dictionary<int, float> { [0] = 10 } }, []));
        Assert.AreEqual(3, new TokenSampler(new() { Temperature = 0 }, 1).Draw(logits, [], [0, 1, 2]));

        int Draw(GenerationOptions options, int[] recent) => new TokenSampler(options, 1).Draw(logits, recent, []);
    }

    [TestMethod]
    public void Draw_NoNumbersOrNothingLeft_Throws()
    {
        var sampler = new TokenSampler(new(), 1);
        Assert.ThrowsExactly<InvalidOperationException>(() => sampler.Draw([1, float.NaN, 2], [], []));
        Assert.ThrowsExactly<InvalidOperationException>(() => sampler.Draw([1, 2], [], [0, 1]));
    }

    [TestMethod]
    public void BestAndLogSum_EqualNaive()
    {
        CollectionAssert.AreEqual(new[] { 1, 3, 2 }, LogProbabilities.Best([1, 3, 2, 3, -1], 3));
        CollectionAssert.AreEqual(new[] { 1, 0 }, LogProbabilities.Best([1, 3], 5));
        Assert.AreEqual(Math.Log(Logits.Sum(logit => Math.Exp(logit))), LogProbabilities.LogSum(Logits), 1e-6);
    }

    // Doubles, sorting and dictionaries: the definitions, one after another.
    private static double[] Textbook(GenerationOptions options)
    {
        double[] logits = [.. Logits.Select(logit => (double)logit)];
        foreach (IGrouping<int, int> seen in Recent.TakeLast(options.PenaltyWindow).GroupBy(id => id))
        {
            double logit = logits[seen.Key];
            logit = logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty;
            logits[seen.Key] = logit - options.PresencePenalty - options.FrequencyPenalty * seen.Count();
        }

        foreach ((int id, float bias) in options.LogitBias)
            logits[id] += bias;
        foreach (int id in options.BannedTokens)
            logits[id] = double.NegativeInfinity;

        var left = Normal(logits.Select((logit, id) => (id, Math.Exp(logit / options.Temperature))));
        if (options.TopK > 0)
            left = Normal(left.Take(options.TopK));
        left = Normal(Nucleus(left, options.TopP));
        left = Normal(left.Where(pair => pair.P >= options.MinP * left[0].P));
        double entropy = left.Sum(pair => pair.P == 0 ? 0 : -pair.P * Math.Log(pair.P));
        if (options.TypicalP < 1)
            left = Normal(Nucleus([.. left.Where(pair => pair.P > 0).OrderBy(pair => Math.Abs(-Math.Log(pair.P) - entropy))], options.TypicalP));

        double[] probabilities = new double[Logits.Length];
        foreach ((int id, double p) in left)
            probabilities[id] = p;
        return probabilities;
    }

    private static IEnumerable<(int Id, double P)> Nucleus(List<(int Id, double P)> ordered, double share)
    {
        double sum = 0;
        foreach ((int Id, double P) pair in ordered)
        {
            yield return pair;
            sum += pair.P;
            if (sum >= share)
                yield break;
        }
    }

    private static List<(int Id, double P)> Normal(IEnumerable<(int Id, double Weight)> weights)
    {
        (int Id, double Weight)[] all = [.. weights];
        double total = all.Sum(pair => pair.Weight);
        return [.. all.Select(pair => (pair.Id, pair.Weight / total)).OrderByDescending(pair => pair.Item2)];
    }
}
