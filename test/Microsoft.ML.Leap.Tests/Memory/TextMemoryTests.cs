namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TextMemoryTests
{
    private const int EndOfText = 256;
    private const int VocabularySize = 257;

    private static readonly string[] Texts = ["abracadabra abrakadabra", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the cat and the dog and the cat and the bird", "xyz"];

    // The formula over dictionaries of whole contexts, each probability from the bottom up.
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Find_Texts_GivesTheProbabilityOfTheFormula(bool isOfBytes)
    {
        var memory = new TextMemory(isOfBytes, EndOfText, TextGate.Default);
        var random = new Random(1);
        foreach (string text in Texts)
        {
            for (int place = 0; place < text.Length; place++)
            {
                int[] read = [EndOfText, .. text[..place].Select(c => (int)c)];
                foreach (char next in text.Distinct().Append('q'))
                {
                    double p = random.NextDouble();
                    (double kept, double added) = memory.Find(read, next);
                    Assert.AreEqual(Naive(isOfBytes, text[..place], next, p), kept * p + added, 1e-12);
                }
            }
        }
    }

    [TestMethod]
    public void Mix_Logits_AreThoseOfTheMixedProbabilities()
    {
        var memory = new TextMemory(isOfBytes: false, EndOfText, TextGate.Default);
        var random = new Random(2);
        foreach (string text in Texts)
        {
            int[] read = [EndOfText, .. text.Select(c => (int)c)];
            float[] logits = [.. Enumerable.Range(0, VocabularySize).Select(_ => (float)(8 * random.NextDouble() - 4))];
            double sum = logits.Sum(logit => Math.Exp(logit));
            double[] expected = [.. logits.Select((logit, id) =>
            {
                (double kept, double added) = memory.Find(read, id);
                return kept * Math.Exp(logit) / sum + added;
            })];
            Assert.AreEqual(1, expected.Sum(), 1e-9);

            memory.Mix(logits, read);

            double mixedSum = logits.Sum(logit => Math.Exp(logit));
            for (int id = 0; id < VocabularySize; id++)
                Assert.AreEqual(expected[id], Math.Exp(logits[id]) / mixedSum, 1e-6 * expected[id]);
        }
    }

    [TestMethod]
    public void Mix_Losses_AreThoseOfEachTextByItself()
    {
        var memory = new TextMemory(isOfBytes: true, EndOfText, TextGate.Default);
        int[] ids = [.. Texts.SelectMany(text => text.Select(c => (int)c).Prepend(EndOfText)), EndOfText];
        double[] losses = [.. Enumerable.Range(1, ids.Length - 1).Select(i => 0.1 * (i % 17))];
        double[] mixed = [.. losses];

        memory.Mix(ids, 1, mixed);

        int start = 0;
        for (int i = 0; i < losses.Length; i++)
        {
            (double kept, double added) = memory.Find(ids.AsSpan(start, i + 1 - start), ids[i + 1]);
            Assert.AreEqual(-Math.Log(kept * Math.Exp(-losses[i]) + added), mixed[i], 1e-12);
            if (ids[i + 1] == EndOfText)
                start = i + 1;
        }

        // A part, as the whole.
        double[] part = losses[50..70];
        memory.Mix(ids.AsSpan(0, 71), 51, part);
        CollectionAssert.AreEqual(mixed[50..70], part);

        // What never came is as unlikely as it was, however unlikely that is.
        double[] unlikely = [2000];
        memory.Mix([EndOfText, 'a', 'b', 'q'], 3, unlikely);
        Assert.AreEqual(2000, unlikely[0]);
        memory.Mix([EndOfText, 'a', 'b', 'c', 'a', 'b', 'q'], 6, unlikely);
        Assert.AreEqual(2000, unlikely[0], 10);
        Assert.IsTrue(double.IsFinite(unlikely[0]));
    }

    [TestMethod]
    [DataRow(false, TextMemory.Reach)]
    [DataRow(true, 2048)]
    public void Find_BeyondItsReach_IsForgotten(bool isOfBytes, int reach)
    {
        var memory = new TextMemory(isOfBytes, EndOfText, TextGate.Default);
        int[] text = [1, 2, 4, .. Enumerable.Repeat(3, reach - 3), 1, 2];
        Assert.AreEqual((1.0, 0.0), memory.Find(text, 4));
        Assert.IsGreaterThan(0, memory.Find([1, 2, 4, .. text.AsSpan(5)], 4).Added);
    }

    [TestMethod]
    public void Find_AfterAnotherText_KnowsNothingOfIt()
    {
        var memory = new TextMemory(isOfBytes: false, EndOfText, TextGate.Default);
        Assert.AreEqual((1.0, 0.0), memory.Find([EndOfText, 1, 2, 3, EndOfText, 1], 2));
        float[] logits = [1, 2, 3, 4];
        memory.Mix(logits, [EndOfText, 1, 2, 3, EndOfText, 1]);
        CollectionAssert.AreEqual((float[])[1, 2, 3, 4], logits);
    }

    [TestMethod]
    public void Find_NothingBefore_ChangesNothing()
    {
        var memory = new TextMemory(isOfBytes: false, EndOfText, TextGate.Default);
        Assert.AreEqual((1.0, 0.0), memory.Find([], 5));
        Assert.AreEqual((1.0, 0.0), memory.Find([EndOfText], 5));
        Assert.AreEqual((1.0, 0.0), memory.Find([EndOfText, 7], 7));
    }

    // Matches of 1 and of 3 tokens, of which long ones are right more often than the default gate thinks.
    [TestMethod]
    public void Learn_ManyTokens_FindsTheGateThatMakesThemLikeliest()
    {
        var random = new Random(3);
        (double Probability, TextMatch Match, double Weight)[] tokens = [.. Enumerable.Range(0, 40_000).Select(i =>
        {
            int length = i % 2 == 0 ? 1 : 3;
            bool isRight = random.NextDouble() < (length == 1 ? 0.25 : 0.45);
            return (0.05, new TextMatch(length, 0.25, isRight ? 0.75 : 0), 1.0);
        }), (0.5, TextMatch.None, 1)];

        var learned = TextGate.Learn(tokens);

        double best = LogLikelihood(learned);
        Assert.IsGreaterThan(LogLikelihood(TextGate.Default) + 20, best);
        foreach ((float bias, float slope) in ((float, float)[])[(0.1f, 0), (-0.1f, 0), (0, 0.1f), (0, -0.1f)])
            Assert.IsLessThan(best + 1, LogLikelihood(new TextGate(learned.Bias + bias, learned.Slope + slope)));
        Assert.IsGreaterThan(0.3f, learned.Slope);

        // What weighs nothing says nothing.
        Assert.AreEqual(TextGate.Default, TextGate.Learn([.. tokens.Select(token => token with { Weight = 0 })]));

        // Few tokens say little.
        var few = TextGate.Learn(tokens[..6]);
        Assert.AreEqual(TextGate.Default.Bias, few.Bias, 0.1f);
        Assert.AreEqual(TextGate.Default, TextGate.Learn([(0.5, TextMatch.None, 1)]));

        double LogLikelihood(TextGate gate) =>
            tokens.Sum(token => Math.Log(gate.GetKept(token.Match) * token.Probability + gate.Get(token.Match.Length) * token.Match.Share));
    }

    private static double Naive(bool isOfBytes, string read, char next, double p)
    {
        int shortest = isOfBytes ? 2 : 1;
        double q = p;
        int longest = 0;
        for (int length = shortest; length <= Math.Min(15, read.Length); length++)
        {
            string context = read[^length..];
            char[] after = [.. Enumerable.Range(0, read.Length - length).Where(i => read.AsSpan(i, length).SequenceEqual(context)).Select(i => read[i + length])];
            if (after.Length == 0)
                break;
            q = (Math.Max(0, after.Count(c => c == next) - 0.75) + 0.75 * after.Distinct().Count() * q) / after.Length;
            longest = length;
        }

        double h = longest == 0 ? 0 : 1 / (1 + Math.Exp(1.5 - (double)0.2f * longest));
        return (1 - h) * p + h * q;
    }
}
