using System.Text.Json;

namespace Microsoft.ML.Leap.Tests;

/// <summary>POST /v1/completions gives the model's own texts and numbers.</summary>
[TestClass]
public class CompletionsTests
{
    private static RunningServer? s_server;

    private static RunningServer Server => s_server!;

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_server = await RunningServer.StartAsync(Model);

    [ClassCleanup]
    public static async Task StopAsync()
    {
        if (s_server is not null)
            await s_server.DisposeAsync();
    }

    [TestMethod]
    public async Task Post_WithSeed_GivesTheModelsOwnText()
    {
        GenerationResult expected = Model.Complete("the cat", Options(seed: 3));
        JsonElement answer = await Server.AskAsync("/v1/completions", new { model = "leap", prompt = "the cat", max_tokens = 60, seed = 3 });

        Assert.AreEqual("text_completion", answer.GetProperty("object").GetString());
        StringAssert.StartsWith(answer.GetProperty("id").GetString(), "cmpl-");
        Assert.AreEqual("leap", answer.GetProperty("model").GetString());
        Assert.IsLessThan(100, DateTimeOffset.UtcNow.ToUnixTimeSeconds() - answer.GetProperty("created").GetInt64());
        JsonElement choice = answer.GetProperty("choices").EnumerateArray().Single();
        Assert.AreEqual(expected.Text, choice.GetProperty("text").GetString());
        Assert.AreEqual(0, choice.GetProperty("index").GetInt32());
        Assert.AreEqual(Reason(expected), choice.GetProperty("finish_reason").GetString());
        Assert.AreEqual(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        JsonElement usage = answer.GetProperty("usage");
        Assert.AreEqual(7, usage.GetProperty("prompt_tokens").GetInt32());
        Assert.AreEqual(expected.Tokens.Count, usage.GetProperty("completion_tokens").GetInt32());
        Assert.AreEqual(7 + expected.Tokens.Count, usage.GetProperty("total_tokens").GetInt32());
    }

    [TestMethod]
    public async Task Post_PromptOfEachKind_IsTheSamePrompt()
    {
        int[] ids = [.. Model.Tokenizer.Encode("the cat")];
        string expected = Model.Complete("the cat", Options(seed: 3)).Text;
        foreach (object prompt in new object[] { "the cat", new[] { "the cat" }, ids, new[] { ids } })
        {
            JsonElement answer = await Server.AskAsync("/v1/completions", new { prompt, max_tokens = 60, seed = 3 });
            Assert.AreEqual(expected, answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }

        foreach (object body in new object[] { new { max_tokens = 60, seed = 3 }, new { prompt = "", max_tokens = 60, seed = 3 } })
        {
            JsonElement answer = await Server.AskAsync("/v1/completions", body);
            Assert.AreEqual(Model.Complete("", Options(seed: 3)).Text, answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }
    }

    [TestMethod]
    public async Task Post_SeveralPromptsAndChoices_GivesEachItsOwnInOrder()
    {
        string[] prompts = ["the cat", "a dog", "naïve"];
        JsonElement answer = await Server.AskAsync("/v1/completions", new { prompt = prompts, n = 2, best_of = 2, max_tokens = 60, seed = 3 });

        JsonElement[] choices = [.. answer.GetProperty("choices").EnumerateArray()];
        Assert.HasCount(6, choices);
        for (int i = 0; i < choices.Length; i++)
        {
            Assert.AreEqual(i, choices[i].GetProperty("index").GetInt32());
            Assert.AreEqual(Model.Complete(prompts[i / 2], Options(seed: 3 + i % 2)).Text, choices[i].GetProperty("text").GetString());
        }
    }

    [TestMethod]
    public async Task Post_EveryOption_ReachesTheModel()
    {
        var options = new GenerationOptions
        {
            MaximumNewTokens = 40,
            Temperature = 1.5,
            TopP = 0.9,
            TopK = 30,
            MinP = 0.01,
            PresencePenalty = 0.5,
            FrequencyPenalty = -0.5,
            LogitBias = new Dictionary<int, float> { ['e'] = 3, ['a'] = -100 },
            StopStrings = ["q", "ee"],
            Seed = 11,
            PositionPolicy = PositionPolicy.Restart,
        };
        JsonElement answer = await Server.AskAsync("/v1/completions", new
        {
            prompt = "the cat",
            max_tokens = 40,
            temperature = 1.5,
            top_p = 0.9,
            top_k = 30,
            min_p = 0.01,
            presence_penalty = 0.5,
            frequency_penalty = -0.5,
            logit_bias = new Dictionary<string, double> { ["101"] = 3, ["97"] = -100 },
            stop = new[] { "q", "ee" },
            seed = 11,
            user = "somebody",
            suffix = (string?)null,
            invented_later = new { x = 1 },
        });
        GenerationResult expected = Model.Complete("the cat", options);
        Assert.AreEqual(expected.Text, answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.AreNotEqual(Model.Complete("the cat", Options(seed: 11) with { MaximumNewTokens = 40 }).Text, expected.Text);
    }

    [TestMethod]
    public async Task Post_StopString_EndsBeforeIt()
    {
        string whole = Model.Complete("the", Options(seed: 1) with { MaximumNewTokens = 200, MinimumNewTokens = 100 }).Text;
        string text = Model.Complete("the", Options(seed: 1) with { MaximumNewTokens = 200 }).Text;
        string stop = text.Length > 6 ? text[4..6] : whole[4..6];
        JsonElement choice = (await Server.AskAsync("/v1/completions", new { prompt = "the", max_tokens = 200, seed = 1, stop })).GetProperty("choices")[0];
        GenerationResult expected = Model.Complete("the", Options(seed: 1) with { MaximumNewTokens = 200, StopStrings = [stop] });
        Assert.AreEqual(expected.Text, choice.GetProperty("text").GetString());
        Assert.AreEqual("stop", choice.GetProperty("finish_reason").GetString());
        Assert.DoesNotContain(stop, expected.Text);
    }

    [TestMethod]
    public async Task Post_Logprobs_AreTheModelsOwn()
    {
        GenerationResult expected = Model.Complete("the", Options(seed: 5) with { LogProbabilityCount = 3 });
        JsonElement logprobs = (await Server.AskAsync("/v1/completions", new { prompt = "the", max_tokens = 60, seed = 5, logprobs = 3 }))
            .GetProperty("choices")[0].GetProperty("logprobs");

        Assert.AreEqual(expected.Tokens.Count, logprobs.GetProperty("tokens").GetArrayLength());
        int offset = 0;
        for (int i = 0; i < expected.Tokens.Count; i++)
        {
            GeneratedToken token = expected.Tokens[i];
            Assert.AreEqual(Model.Tokenizer.GetTokenText(token.Id), logprobs.GetProperty("tokens")[i].GetString());
            Assert.AreEqual(token.LogProbability, logprobs.GetProperty("token_logprobs")[i].GetDouble());
            Assert.AreEqual(offset, logprobs.GetProperty("text_offset")[i].GetInt32());
            JsonElement top = logprobs.GetProperty("top_logprobs")[i];
            foreach (TokenLogProbability alternative in token.Alternatives)
                Assert.AreEqual(alternative.LogProbability, top.GetProperty(alternative.Text).GetDouble());
            Assert.AreEqual(token.LogProbability, top.GetProperty(Model.Tokenizer.GetTokenText(token.Id)).GetDouble());
            Assert.IsInRange(3, 4, top.GetPropertyCount());
            offset += token.Text.EnumerateRunes().Count();
        }
    }

    // What lm-evaluation-harness reads: the tokens of a prompt, one or none after them, and whether each was the likeliest.
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public async Task Post_EchoWithLogprobs_GivesThePromptsOwnNumbers(int newTokens)
    {
        const string text = "naïve ☕ cat that sat on the mat and on";
        float[] expected = Model.ScoreTokens(text);
        int[] ids = [.. Model.Tokenizer.Encode(text)];
        foreach (object prompt in new object[] { text, ids })
        {
            JsonElement choice = (await Server.AskAsync(
                "/v1/completions", new { prompt, max_tokens = newTokens, temperature = 0, logprobs = 1, echo = true, seed = 1234 })).GetProperty("choices")[0];
            JsonElement logprobs = choice.GetProperty("logprobs");
            Assert.AreEqual(ids.Length + newTokens, logprobs.GetProperty("tokens").GetArrayLength());
            StringAssert.StartsWith(choice.GetProperty("text").GetString(), text);
            Assert.AreEqual(newTokens == 0 || !choice.GetProperty("finish_reason").ValueEquals("stop") ? "length" : "stop", choice.GetProperty("finish_reason").GetString());
            CollectionAssert.AreEqual(
                expected.Select(value => (double)value).ToArray(),
                logprobs.GetProperty("token_logprobs").EnumerateArray().Take(ids.Length).Select(value => value.GetDouble()).ToArray());

            double sum = 0;
            for (int i = 0; i < ids.Length; i++)
            {
                string token = logprobs.GetProperty("tokens")[i].GetString()!;
                Assert.AreEqual(Model.Tokenizer.GetTokenText(ids[i]), token);
                JsonProperty[] top = [.. logprobs.GetProperty("top_logprobs")[i].EnumerateObject()];
                JsonProperty best = top.MaxBy(pair => pair.Value.GetDouble());
                Assert.IsTrue(top.Any(pair => pair.NameEquals(token)));
                ScoredToken scored = Model.PredictTokens(ids, 1)[i];
                Assert.AreEqual(scored.Alternatives[0].Text, best.Name);
                Assert.AreEqual(scored.Alternatives[0].LogProbability, best.Value.GetDouble());
                sum += logprobs.GetProperty("token_logprobs")[i].GetDouble();
            }

            Assert.AreEqual(Model.Score(text).LogLikelihood, sum, 1e-4);
            int[] offsets = [.. logprobs.GetProperty("text_offset").EnumerateArray().Select(value => value.GetInt32())];
            Assert.AreEqual(0, offsets[0]);
            Assert.AreEqual(3, offsets[4], "ï has two bytes");
            Assert.AreEqual(text.EnumerateRunes().Count() - 1, offsets[ids.Length - 1]);
        }
    }

    [TestMethod]
    public async Task Post_EchoWithoutLogprobs_BeginsWithThePrompt()
    {
        JsonElement choice = (await Server.AskAsync("/v1/completions", new { prompt = "the cat", echo = true, max_tokens = 60, seed = 3 })).GetProperty("choices")[0];
        Assert.AreEqual("the cat" + Model.Complete("the cat", Options(seed: 3)).Text, choice.GetProperty("text").GetString());
    }

    [TestMethod]
    public async Task Post_NoNewTokens_GivesAnEmptyText()
    {
        JsonElement answer = await Server.AskAsync("/v1/completions", new { prompt = "the cat", max_tokens = 0 });
        Assert.AreEqual("", answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.AreEqual("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.AreEqual(0, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    // The tiny model has learned positions, for 16 tokens.
    [TestMethod]
    public async Task Post_PastTheContext_GoesOn()
    {
        string prompt = string.Concat(Enumerable.Repeat("the cat sat ", 10));
        JsonElement answer = await Server.AskAsync("/v1/completions", new { prompt, max_tokens = 60, seed = 3 });
        Assert.AreEqual(Model.Complete(prompt, Options(seed: 3)).Text, answer.GetProperty("choices")[0].GetProperty("text").GetString());
    }

    [TestMethod]
    public async Task Post_SeedsOf64Bits_AreTakenAndDiffer()
    {
        async Task<string?> TextAsync(long seed) => (await Server.AskAsync("/v1/completions", new { prompt = "the", max_tokens = 60, temperature = 2, seed }))
            .GetProperty("choices")[0].GetProperty("text").GetString();
        Assert.AreEqual(await TextAsync(1L << 40), await TextAsync(1L << 40));
        Assert.AreNotEqual(await TextAsync(1L << 40), await TextAsync(1L << 41));
    }

    private static GenerationOptions Options(int seed) =>
        new() { MaximumNewTokens = 60, Seed = seed, PositionPolicy = PositionPolicy.Restart };

    private static string Reason(GenerationResult result) => result.FinishReason == GenerationFinishReason.MaximumNewTokens ? "length" : "stop";
}
