namespace Microsoft.ML.Leap.Tests;

/// <summary>LeapLanguageModel.PredictTokens.</summary>
[TestClass]
public class TokenAlternativesTests
{
    private static readonly Lazy<LeapLanguageModelTransformer> Remembering = new(() => TinyModel.Fit(TrainedModel.Context, options => options.MemoryMegabytes = 1));

    private static LeapLanguageModel[] Models => [TrainedModel.Transformer.Model, Remembering.Value.Model];

    [ClassCleanup]
    public static void Free()
    {
        if (Remembering.IsValueCreated)
            Remembering.Value.Dispose();
    }

    // Longer than the context, so that windows slide.
    [TestMethod]
    public void PredictTokens_AnyText_HasTheLikelihoodsOfScoreTokens()
    {
        foreach (LeapLanguageModel model in Models)
        {
            foreach (string text in TinyModel.Texts.Append(""))
            {
                IReadOnlyList<ScoredToken> tokens = model.PredictTokens(text, 5);
                CollectionAssert.AreEqual(model.Tokenizer.Encode(text).ToArray(), tokens.Select(token => token.Id).ToArray());
                CollectionAssert.AreEqual(model.ScoreTokens(text), tokens.Select(token => (float)token.LogProbability).ToArray());
                CollectionAssert.AreEqual(
                    tokens.Select(token => token.LogProbability).ToArray(),
                    model.PredictTokens(model.Tokenizer.Encode(text), 0).Select(token => token.LogProbability).ToArray());
            }
        }
    }

    // Greedy generation reports the same alternatives by another way, one token after another.
    [TestMethod]
    public void PredictTokens_Alternatives_AreThoseThatGenerationNames()
    {
        foreach (LeapLanguageModel model in Models)
        {
            GenerationResult made = model.Complete("the", new GenerationOptions { Temperature = 0, LogProbabilityCount = 20, MaximumNewTokens = 8, MinimumNewTokens = 8 });
            int[] prompt = [.. model.Tokenizer.Encode("the")];
            IReadOnlyList<ScoredToken> tokens = model.PredictTokens([.. prompt, .. made.Tokens.Select(token => token.Id)], 20);
            for (int i = 0; i < made.Tokens.Count; i++)
            {
                ScoredToken token = tokens[prompt.Length + i];
                Assert.HasCount(20, token.Alternatives);
                Assert.AreEqual(made.Tokens[i].LogProbability, token.LogProbability, 1e-4);
                for (int k = 0; k < 20; k++)
                    Assert.AreEqual(made.Tokens[i].Alternatives[k].LogProbability, token.Alternatives[k].LogProbability, 1e-4);
                CollectionAssert.AreEqual(
                    made.Tokens[i].Alternatives.Take(3).Select(other => other.Text).ToArray(), token.Alternatives.Take(3).Select(other => other.Text).ToArray());
            }
        }
    }

    // An alternative's likelihood is what the text would have with it in the token's place.
    [TestMethod]
    public void PredictTokens_Alternative_HasTheLikelihoodOfItsOwnText()
    {
        foreach (LeapLanguageModel model in Models)
        {
            int[] ids = [.. model.Tokenizer.Encode("the quick brown fox jumps over the lazy dog")];
            IReadOnlyList<ScoredToken> tokens = model.PredictTokens(ids, 3);
            foreach (int i in new[] { 0, 5, 15, 16, 17, 30, ids.Length - 1 })
            {
                foreach (TokenLogProbability alternative in tokens[i].Alternatives)
                {
                    int[] changed = [.. ids];
                    changed[i] = alternative.Id;
                    Assert.AreEqual(model.PredictTokens(changed, 0)[i].LogProbability, alternative.LogProbability, 1e-4);
                }

                Assert.IsTrue(tokens[i].Alternatives.Zip(tokens[i].Alternatives.Skip(1)).All(pair => pair.First.LogProbability >= pair.Second.LogProbability));
            }
        }
    }

    [TestMethod]
    public void PredictTokens_OutsideOfRanges_IsRefused()
    {
        LeapLanguageModel model = TrainedModel.Transformer.Model;
        Assert.Throws<ArgumentOutOfRangeException>(() => model.PredictTokens("a", -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.PredictTokens("a", 21));
        Assert.Throws<ArgumentNullException>(() => model.PredictTokens((string)null!, 1));
        Assert.Throws<ArgumentNullException>(() => model.PredictTokens((IReadOnlyList<int>)null!, 1));
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.PredictTokens([1, 257], 1)).Message, "the token 257");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Embed([-1])).Message, "the token -1");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.CreateGenerationState([999])).Message, "the token 999");
    }

    [TestMethod]
    public void EmbedAndCreateGenerationState_OfIds_AreThoseOfTheText()
    {
        LeapLanguageModel model = TrainedModel.Transformer.Model;
        CollectionAssert.AreEqual(model.Embed("the cat"), model.Embed(model.Tokenizer.Encode("the cat")));
        using GenerationState state = model.CreateGenerationState(model.Tokenizer.Encode("the cat"));
        GenerationOptions options = new() { Temperature = 0, MaximumNewTokens = 5 };
        Assert.AreEqual(model.Generate("the cat", options), model.Continue(state, options).Text);
    }
}
