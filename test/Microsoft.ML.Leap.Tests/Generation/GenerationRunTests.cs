namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GenerationRunTests
{
    private static readonly LeapTokenizer Bytes = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    private static readonly int End = Bytes.EndOfTextId;

    [TestMethod]
    public void Advance_SplitCharacters_AreHeldBackUntilWhole()
    {
        (GeneratedToken[] tokens, _) = Run("a☕b", new());
        CollectionAssert.AreEqual(new[] { "a", "", "", "☕", "b" }, tokens.Select(token => token.Text).ToArray());
    }

    [TestMethod]
    public void Advance_HalfACharacterAtTheEnd_BecomesAReplacement()
    {
        var run = new GenerationRun(Bytes, new() { Temperature = 0, MaximumNewTokens = 2 }, 1, [1]);
        string text = run.Advance(MakeLogits('a')).Text + run.Advance(MakeLogits(0xE2)).Text;
        Assert.AreEqual("a\uFFFD", text);
        Assert.AreEqual(GenerationFinishReason.MaximumNewTokens, run.FinishReason);
    }

    [TestMethod]
    [DataRow("one stop two", "stop", "one ")]
    [DataRow("aab aaab", "aaab", "aab ")]
    [DataRow("naïve ☕ café", "☕ c", "naïve ")]
    [DataRow("ab", "ab", "")]
    [DataRow("x stop", "sto|stop", "x ")]
    [DataRow("nothing sto", "stop", "nothing sto")]
    public void Advance_StopStrings_EndTheTextBeforeThem(string drawn, string stops, string expected)
    {
        (GeneratedToken[] tokens, GenerationRun run) = Run(drawn, new() { StopStrings = stops.Split('|') });
        Assert.AreEqual(expected, string.Concat(tokens.Select(token => token.Text)));
        bool stopped = expected != drawn;
        Assert.AreEqual(stopped ? GenerationFinishReason.StopString : GenerationFinishReason.MaximumNewTokens, run.FinishReason);
        Assert.AreEqual(run.FinishReason, tokens[^1].FinishReason);
        Assert.IsTrue(tokens[..^1].All(token => token.FinishReason is null));
    }

    [TestMethod]
    public void Advance_EndOfTextAndStopTokens_AreNoPartOfTheText()
    {
        var run = new GenerationRun(Bytes, new() { Temperature = 0 }, 1, [1]);
        run.Advance(MakeLogits('a'));
        GeneratedToken last = run.Advance(MakeLogits(End));
        Assert.AreEqual("", last.Text);
        Assert.AreEqual(GenerationFinishReason.EndOfText, last.FinishReason);
        Assert.ThrowsExactly<InvalidOperationException>(() => run.Advance(MakeLogits('a')));

        run = new GenerationRun(Bytes, new() { Temperature = 0, StopTokens = ['\n'] }, 1, [1]);
        Assert.AreEqual("", run.Advance(MakeLogits('\n')).Text);
        Assert.AreEqual(GenerationFinishReason.StopToken, run.FinishReason);
    }

    [TestMethod]
    [DataRow(0.0, 0, 0.0)]
    [DataRow(1.0, 0, 0.0)]
    [DataRow(0.7, 0, 0.0)]
    [DataRow(1.0, 5, 0.0)]
    [DataRow(1.0, 0, 0.5)]
    public void Advance_AnyWayToDraw_TellsTheModelsOwnProbability(double temperature, int minimumNewTokens, double presencePenalty)
    {
        var random = new Random(4);
        float[] logits = [.. Enumerable.Range(0, Bytes.VocabularySize).Select(_ => (float)(4 * random.NextDouble()))];
        double logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        var options = new GenerationOptions
        {
            Temperature = temperature,
            MinimumNewTokens = minimumNewTokens,
            MaximumNewTokens = 20,
            PresencePenalty = presencePenalty,
        };
        var run = new GenerationRun(Bytes, options, 1, [1, 2, 3]);
        while (!run.IsFinished)
        {
            GeneratedToken token = run.Advance(logits);
            Assert.AreEqual(logits[token.Id] - logSum, token.LogProbability, 1e-5);
        }
    }

    [TestMethod]
    public void Advance_BeforeTheMinimum_NothingEndsTheText()
    {
        GenerationOptions options = new() { Temperature = 0, MinimumNewTokens = 3, StopTokens = ['\n'], StopStrings = ["aa"] };
        var run = new GenerationRun(Bytes, options, 1, [1]);
        Assert.AreNotEqual(End, run.Advance(MakeLogits(End, 'a')).Id);
        Assert.AreEqual('a', run.Advance(MakeLogits('\n', 'a')).Id);
        Assert.IsFalse(run.IsFinished);
        run.Advance(MakeLogits('b'));
        run.Advance(MakeLogits(End));
        Assert.AreEqual(GenerationFinishReason.EndOfText, run.FinishReason);
    }

    [TestMethod]
    public void Constructor_NothingToAdd_IsFinished()
    {
        var run = new GenerationRun(Bytes, new() { MaximumNewTokens = 0 }, 1, []);
        Assert.AreEqual(GenerationFinishReason.MaximumNewTokens, run.FinishReason);
    }

    [TestMethod]
    public void Constructor_UnknownTokens_AreRefusedByName()
    {
        foreach (GenerationOptions options in (GenerationOptions[])
            [new() { BannedTokens = [900] }, new() { StopTokens = [-1] }, new() { LogitBias = new Dictionary<int, float> { [300] = 1 } }])
        {
            ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => new GenerationRun(Bytes, options, 1, []));
            StringAssert.Contains(e.Message, e.ParamName);
        }
    }

    [TestMethod]
    public void Advance_LogProbabilities_AreTheModelsOwn()
    {
        float[] logits = [.. Enumerable.Range(0, Bytes.VocabularySize).Select(i => (float)Math.Cos(i))];

        // A checkpoint's vocabulary may be padded: what lies beyond is never drawn, and has its part of the probability, as in scores.
        float[] padded = [.. logits, 2, 3];
        double logSum = Math.Log(padded.Sum(logit => Math.Exp(logit)));
        int[] best = [.. Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).Take(4)];
        var run = new GenerationRun(Bytes, new() { Temperature = 3, LogProbabilityCount = 4, BannedTokens = [best[0]], Seed = 1 }, 1, [1]);

        GeneratedToken token = run.Advance(padded);

        Assert.AreEqual(logits[token.Id] - logSum, token.LogProbability, 1e-5);
        CollectionAssert.AreEqual(best, token.Alternatives.Select(alternative => alternative.Id).ToArray());
        Assert.AreEqual(logits[best[1]] - logSum, token.Alternatives[1].LogProbability, 1e-5);
        Assert.AreEqual(Bytes.GetTokenText(best[1]), token.Alternatives[1].Text);
    }

    private static (GeneratedToken[] Tokens, GenerationRun Run) Run(string drawn, GenerationOptions options)
    {
        IReadOnlyList<int> ids = Bytes.Encode(drawn);
        var run = new GenerationRun(Bytes, options with { Temperature = 0, MaximumNewTokens = ids.Count }, 1, [1]);
        List<GeneratedToken> tokens = [];
        for (int i = 0; !run.IsFinished; i++)
            tokens.Add(run.Advance(MakeLogits(ids[i])));
        return ([.. tokens], run);
    }

    private static float[] MakeLogits(int likeliest, int second = -1)
    {
        float[] logits = new float[Bytes.VocabularySize];
        logits[likeliest] = 9;
        if (second >= 0)
            logits[second] = 8;
        return logits;
    }
}
