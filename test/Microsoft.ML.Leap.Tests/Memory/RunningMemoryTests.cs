namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class RunningMemoryTests
{
    private const double Discount = 0.75;

    private static readonly LeapTokenizer Bytes = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    private static readonly string[] Texts = ["abracadabra", "abrakadabra", "cadabra cad", "aaaaaaaaaaaaaaaaaaaa", "", "xyz abraca"];

    // The formula over dictionaries of whole contexts, each probability from the bottom up.
    [TestMethod]
    public void Read_Texts_GivesTheProbabilityOfTheFormula()
    {
        const int MostContext = 11;
        var memory = new RunningMemory(null, Bytes, 64);
        var counts = new Dictionary<string, Dictionary<char, int>>();
        var gates = new Dictionary<(int, int), (double Bias, double Slope)>();
        var random = new Random(1);
        foreach (string text in Texts)
        {
            memory.StartText();
            string read = "^";
            foreach (char next in text)
            {
                double model = 0.01 + 0.5 * random.NextDouble();
                string[] contexts = [.. Enumerable.Range(0, Math.Min(read.Length, MostContext) + 1).Select(k => read[^k..])];
                double q = model;
                double left = 1;
                (int Matched, int Followers) kind = (0, 0);
                foreach (string context in contexts.TakeWhile(counts.ContainsKey))
                {
                    Dictionary<char, int> followers = counts[context];
                    double total = followers.Values.Sum();
                    left = Discount * followers.Count / total;
                    q = Math.Max(0, followers.GetValueOrDefault(next) - Discount) / total + left * q;
                    kind = (context.Length, Math.Min(3, followers.Count));
                }

                (double bias, double slope) = gates.GetValueOrDefault(kind, (kind.Matched < 3 ? -1 : 0, 0));
                double g = 1 / (1 + Math.Exp(-bias - slope * left));
                double expected = (1 - g) * model + g * q;
                Assert.AreEqual(expected, memory.Read(next, model), 1e-12);

                double change = 0.2 * (q - model) / expected * g * (1 - g);
                gates[kind] = (bias + change, slope + change * left);
                foreach (string context in contexts.Reverse())
                {
                    if (!counts.ContainsKey(context))
                        counts[context] = [];
                    counts[context][next] = counts[context].GetValueOrDefault(next) + 1;
                    if (counts[context][next] > 1)
                        break;
                }

                read += next;
            }
        }

        Assert.AreEqual(Texts.Sum(text => text.Length), memory.TokenCount);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Predict_AllTokens_SumToOne(bool isTrained)
    {
        using LeapLanguageModelTransformer? transformer = isTrained ? TinyModel.Fit(new MLContext(1), options => options.MemoryMegabytes = 1) : null;
        LeapTokenizer tokenizer = transformer?.Tokenizer ?? Bytes;
        var memory = new RunningMemory(transformer?.Model.Memory, tokenizer, 64);
        foreach (string text in (string[])["the cat sat", "the cat ran", "a dog sat o", "the ca"])
        {
            memory.StartText();
            foreach (int id in tokenizer.Encode(text))
                memory.Read(id, 1.0 / tokenizer.VocabularySize);
        }

        double[] all = [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(id => memory.Predict(id, 1.0 / tokenizer.VocabularySize))];
        Assert.AreEqual(1, all.Sum(), 1e-5);
        Assert.IsTrue(all.All(probability => probability > 0));
        Assert.AreEqual(tokenizer.Encode("t")[0], Array.IndexOf(all, all.Max()));
    }

    [TestMethod]
    public void ScoreAll_TextsThatRepeat_BecomesBetterAndOthersHardlyWorse()
    {
        using LeapLanguageModelTransformer transformer = TinyModel.Fit(new MLContext(1), options => options.MemoryMegabytes = 1);
        LeapLanguageModel model = transformer.Model;
        string[] texts = [.. Enumerable.Range(0, 20).Select(i => $"unit {i % 10} failed: ciod error 0x{i % 10}f")];
        double alone = model.ScoreAll(texts).Sum(score => score.LogLikelihood);

        RunningMemory memory = model.CreateRunningMemory();
        TextScore[] scores = [.. model.ScoreAll(texts, memory)];

        Assert.IsGreaterThan(alone / 2, scores.Sum(score => score.LogLikelihood));
        Assert.IsGreaterThan(scores[0].LogLikelihood / 4, scores[^1].LogLikelihood);
        Assert.AreEqual(scores.Sum(score => score.TokenCount), memory.TokenCount);
        Assert.IsGreaterThan(0, memory.NGramCount);

        // The model is as it was, and a second memory begins anew.
        Assert.AreEqual(alone, model.ScoreAll(texts).Sum(score => score.LogLikelihood));
        CollectionAssert.AreEqual(scores, model.ScoreAll(texts, model.CreateRunningMemory()).ToArray());
    }

    [TestMethod]
    public void ScoreAll_InTwoCalls_GoesOn()
    {
        using LeapLanguageModelTransformer transformer = TinyModel.Fit(new MLContext(1), options => options.MemoryMegabytes = 1);
        LeapLanguageModel model = transformer.Model;
        TextScore[] together = [.. model.ScoreAll(Texts, model.CreateRunningMemory())];
        RunningMemory memory = model.CreateRunningMemory();
        TextScore[] apart = [.. model.ScoreAll(Texts[..2], memory), .. model.ScoreAll(Texts[2..], memory)];
        CollectionAssert.AreEqual(together, apart);
        Assert.IsTrue(double.IsNaN(together[4].LogLikelihood));
    }

    [TestMethod]
    public void Read_AtItsLimit_KnowsWhatItKnewAndGrowsNoMore()
    {
        var memory = new RunningMemory(null, Bytes, 1);
        var random = new Random(2);
        double first = Read("the same line again and again");
        for (int i = 0; i < 500; i++)
            Read(string.Concat(Enumerable.Range(0, 60).Select(_ => (char)random.Next(32, 127))));
        int grown = memory.NGramCount;
        Read(string.Concat(Enumerable.Range(0, 60).Select(_ => (char)random.Next(32, 127))));

        Assert.AreEqual(grown, memory.NGramCount);
        Assert.IsGreaterThan(first / 2, Read("the same line again and again"));

        double Read(string text)
        {
            memory.StartText();
            return text.Sum(c => Math.Log(memory.Read(c, 1.0 / Bytes.VocabularySize)));
        }
    }

    [TestMethod]
    public void ScoreAll_MemoryOfAnotherModel_Throws()
    {
        using LeapLanguageModelTransformer one = TinyModel.Fit(new MLContext(1), options => options.MemoryMegabytes = 0);
        using LeapLanguageModelTransformer other = TinyModel.Fit(new MLContext(1), options => options.MemoryMegabytes = 0);
        ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => one.Model.ScoreAll(Texts, other.Model.CreateRunningMemory()));
        Assert.AreEqual("memory", e.ParamName);
        Assert.ThrowsExactly<ArgumentNullException>(() => one.Model.ScoreAll(null!, one.Model.CreateRunningMemory()));
        Assert.ThrowsExactly<ArgumentNullException>(() => one.Model.ScoreAll(Texts, null!));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => one.Model.CreateRunningMemory(0));
    }
}
