namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MemoryExponentsTests
{
    [TestMethod]
    public void Get_AnyContext_IsLinearInIt()
    {
        (float network, float memory) = new MemoryExponents([0.5f, 0.25f, -0.125f, 1, -0.5f, 2]).Get(new MemoryContext(0.5f, 0.25f));
        Assert.AreEqual(0.5 + 0.25 * 0.5 - 0.125 * 0.25, network, 1e-7);
        Assert.AreEqual(1 - 0.5 * 0.5 + 2 * 0.25, memory, 1e-7);
    }

    [TestMethod]
    public void Get_WeightsBelowZero_LeavesBothModelsAWord()
    {
        (float network, float memory) = new MemoryExponents([-3, 0, 0, -2, 0, 0]).Get(new MemoryContext(1, 1));
        Assert.IsGreaterThan(0, network);
        Assert.IsGreaterThan(0, memory);
    }

    // After no known token the memory is right less often than after the longest one: each has exponents of its own, found here by trying all.
    [TestMethod]
    public void Learn_TwoKindsOfContexts_FindsTheBestExponentsOfEach()
    {
        var random = new Random(1);
        HeldOutToken[] tokens = [.. Enumerable.Range(0, 20_000).Select(i =>
        {
            bool isMatched = i % 2 == 1;
            int target = random.Next(3);
            return new HeldOutToken(
                Guess(target, 0.6), Guess(target, isMatched ? 0.8 : 0.4), target, new MemoryContext(isMatched ? 1 : 0, 0));
        })];

        var exponents = MemoryExponents.Learn(tokens);

        foreach (float matched in (float[])[0, 1])
        {
            HeldOutToken[] kind = [.. tokens.Where(token => token.Context.Matched == matched)];
            double best = Enumerable.Range(0, 16).SelectMany(a => Enumerable.Range(0, 16), (a, b) => LogLikelihood(kind, a * 0.1, b * 0.1)).Max();
            (float network, float memory) = exponents.Get(new MemoryContext(matched, 0));
            Assert.AreEqual(best, LogLikelihood(kind, network, memory), 0.002);
        }

        // The logarithms of a guess at one of three, right in a part of all cases.
        float[] Guess(int target, double right)
        {
            int guess = random.NextDouble() < right ? target : (target + 1 + random.Next(2)) % 3;
            return [.. Enumerable.Range(0, 3).Select(id => MathF.Log(id == guess ? 0.7f : 0.15f))];
        }

        static double LogLikelihood(HeldOutToken[] tokens, double a, double b) => tokens.Average(token =>
        {
            double[] powers = [.. token.Network.Zip(token.Memory, (network, memory) => Math.Exp(a * network + b * memory))];
            return Math.Log(powers[token.Target] / powers.Sum());
        });
    }

    [TestMethod]
    public void Learn_OneToken_StaysNearTheDefault()
    {
        var learned = MemoryExponents.Learn([new HeldOutToken([-9, 0, 0], [0, -9, -9], 0, new MemoryContext(0.5f, 0.5f))]);
        for (int k = 0; k < MemoryExponents.WeightCount; k++)
            Assert.AreEqual(MemoryExponents.Default.Weights[k], learned.Weights[k], 0.3);
    }

    [TestMethod]
    public void Constructor_WeightsThatAreNone_Throws()
    {
        Assert.ThrowsExactly<FormatException>(() => new MemoryExponents([1, 2]));
        Assert.ThrowsExactly<FormatException>(() => new MemoryExponents([1, float.NaN, 2, 3, 4, 5]));
        Assert.ThrowsExactly<FormatException>(() => new MemoryExponents([1, 0, 2, 2e38f, 4, 5]));
    }
}
