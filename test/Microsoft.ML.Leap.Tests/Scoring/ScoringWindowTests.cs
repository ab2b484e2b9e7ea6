namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ScoringWindowTests
{
    [TestMethod]
    public void Cover_AnyRow_ScoresEachTokenOnceAfterAsManyAsThePlanSays()
    {
        foreach ((int length, int before) in new[] { (1, 0), (2, 1), (3, 1), (8, 4), (9, 4), (20, 4) })
        {
            var plan = new ReadingPlan(length, before);
            for (int count = 0; count < 40; count++)
            {
                int[] scored = new int[count];
                foreach (ScoringWindow window in plan.Cover(5, count))
                {
                    Assert.AreEqual(5, window.Row);
                    Assert.IsTrue(window.Length >= 1 && window.Length <= length);
                    Assert.IsTrue(window.Start == 0 || window.FirstScored - window.Start >= before);
                    for (int t = window.FirstScored; t < window.End; t++)
                        scored[t]++;
                }

                Assert.IsTrue(scored.All(times => times == 1), $"{plan}, {count} tokens");
            }
        }
    }

    [TestMethod]
    public void Of_ForgetGatesWithoutPositions_ReadsOnBeyondTheContext()
    {
        Assert.AreEqual(new ReadingPlan(8192, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false, useForgetGates: true)));
        Assert.AreEqual(new ReadingPlan(8191, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false, useForgetGates: true), reserved: 1));
        Assert.AreEqual(new ReadingPlan(64, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, useForgetGates: true)));
        Assert.AreEqual(new ReadingPlan(64, 32), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2, usePositionEmbeddings: false)));
        Assert.AreEqual(new ReadingPlan(1, 0), ReadingPlan.Of(new LeapConfig(10, 8, 1, 1, 2), reserved: 1));
        Assert.AreEqual(ReadingPlan.OfContext(64), ReadingPlan.Of(new LeapConfig(10, 8, 64, 1, 2)));
    }

    // The context is 16 tokens, the text more than 80: one pass equals single steps.
    [TestMethod]
    public void Score_ALongTextWithoutPositions_IsReadInOnePass()
    {
        var context = new MLContext(1);
        using LeapLanguageModelTransformer transformer = TinyModel.Fit(context, options => options.UsePositionEmbeddings = false);
        LeapLanguageModel model = transformer.Model;
        string text = TinyModel.Texts[2];
        IReadOnlyList<int> ids = model.Tokenizer.Encode(text);
        Assert.IsGreaterThan(5 * model.Config.ContextLength, ids.Count);
        using NetworkState state = model.Network.CreateState();
        double[] expected = new double[ids.Count];
        float[][] hidden = [new float[model.Config.HiddenSize]];
        float[][] logits = [new float[model.Config.VocabularySize]];
        for (int i = 0; i < ids.Count; i++)
        {
            model.Network.Step([i == 0 ? model.Tokenizer.EndOfTextId : ids[i - 1]], [state], hidden);
            model.Network.Logits(hidden, logits);
            expected[i] = logits[0][ids[i]] - Math.Log(logits[0].Sum(logit => Math.Exp(logit)));
        }

        float[] scores = model.ScoreTokens(text);
        FocusReport report = model.Explain(text);
        using var torch = new GpuScorer(TinyModel.CopyNetwork(transformer), tokensPerBatch: 16);
        double[] byTorch = torch.ComputeLosses([new EvaluationBlock([model.Tokenizer.EndOfTextId, .. ids], 0, StartsStream: true)], null, null)[0];
        float[] focus = FocusReader.ScoreTokens(model.Network, [ids], model.Tokenizer.EndOfTextId)[0];
        for (int i = 0; i < ids.Count; i++)
        {
            Assert.AreEqual(expected[i], scores[i], 1e-4);
            Assert.AreEqual(expected[i], report.Tokens[i + 1].LogLikelihood, 1e-4);
            Assert.AreEqual(expected[i], -byTorch[i], 1e-4);
            Assert.AreEqual(report.Focus[i + 1], focus[i], 1e-5);
        }
    }
}
