using System.Text.Json;

namespace Microsoft.ML.Leap.Tests;

/// <summary>POST /v1/completions, streamed: to one and to many at once.</summary>
[TestClass]
public class CompletionStreamTests
{
    private const int EndlessTokens = 1_000_000_000;

    // The bias keeps the model from ending it, and no test waits for its end.
    private static readonly object Endless = new
    {
        prompt = "the",
        stream = true,
        max_tokens = EndlessTokens,
        logit_bias = new Dictionary<string, int> { [Model.Tokenizer.EndOfTextId.ToString(System.Globalization.CultureInfo.InvariantCulture)] = -100 },
    };

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [TestMethod]
    public async Task Post_Streamed_GivesTheSameTextInPieces()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model);
        GenerationResult expected = Expected(seed: 3);
        List<JsonElement> events = await server.StreamAsync(Request(seed: 3, usage: true));

        JsonElement usage = events[^1];
        Assert.AreEqual(0, usage.GetProperty("choices").GetArrayLength());
        Assert.AreEqual(expected.Tokens.Count, usage.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        JsonElement[] choices = [.. events.SkipLast(1).Select(piece => piece.GetProperty("choices").EnumerateArray().Single())];
        Assert.AreEqual(expected.Text, string.Concat(choices.Select(choice => choice.GetProperty("text").GetString())));
        Assert.IsGreaterThan(5, choices.Length);
        Assert.IsTrue(choices[..^1].All(choice => choice.GetProperty("finish_reason").ValueKind == JsonValueKind.Null));
        Assert.AreEqual(expected.FinishReason == GenerationFinishReason.MaximumNewTokens ? "length" : "stop", choices[^1].GetProperty("finish_reason").GetString());
        Assert.HasCount(1, events.Select(piece => piece.GetProperty("id").GetString()).Distinct());
    }

    [TestMethod]
    public async Task Post_StreamedWithEchoAndLogprobs_GivesWhatTheWholeAnswerGives()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model);
        var request = new { prompt = new[] { "the cat", "☕ a" }, n = 2, max_tokens = 20, seed = 3, echo = true, logprobs = 2, temperature = 1.5 };
        JsonElement whole = await server.AskAsync("/v1/completions", request);
        List<JsonElement> events = await server.StreamAsync(
            new { request.prompt, request.n, request.max_tokens, request.seed, request.echo, request.logprobs, request.temperature, stream = true });

        foreach (JsonElement choice in whole.GetProperty("choices").EnumerateArray())
        {
            JsonElement[] pieces = [.. events.Select(piece => piece.GetProperty("choices")[0])
                .Where(piece => piece.GetProperty("index").GetInt32() == choice.GetProperty("index").GetInt32())];
            Assert.AreEqual(choice.GetProperty("text").GetString(), string.Concat(pieces.Select(piece => piece.GetProperty("text").GetString())));
            foreach (string list in new[] { "tokens", "token_logprobs", "top_logprobs", "text_offset" })
            {
                CollectionAssert.AreEqual(
                    choice.GetProperty("logprobs").GetProperty(list).EnumerateArray().Select(item => item.GetRawText()).ToArray(),
                    pieces.SelectMany(piece => piece.GetProperty("logprobs").GetProperty(list).EnumerateArray()).Select(item => item.GetRawText()).ToArray());
            }
        }
    }

    [TestMethod]
    public async Task Post_SixteenStreamsAtOnce_AreEachAsAlone()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async i =>
        {
            for (int round = 0; round < 4; round++)
            {
                List<JsonElement> events = await server.StreamAsync(Request(seed: i + 16 * round, usage: false));
                string text = string.Concat(events.Select(piece => piece.GetProperty("choices")[0].GetProperty("text").GetString()));
                Assert.AreEqual(Expected(seed: i + 16 * round).Text, text);
            }
        }));
        Assert.AreEqual("", string.Join('\n', server.Log.Lines));
    }

    // Two places, and streams without end: a place is free again only when the work of the one before has ended.
    [TestMethod]
    public async Task Post_StreamLeftByItsClient_EndsTheWork()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options =>
        {
            options.ConcurrentRequests = 2;
            options.NewTokens = EndlessTokens;
        });
        for (int i = 0; i < 6; i++)
        {
            using HttpResponseMessage response = await server.PostAsync("/v1/completions", Endless);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            Assert.IsNotNull(await RunningServer.ReadEventAsync(reader));
            Assert.IsNotNull(await RunningServer.ReadEventAsync(reader));
        }

        await server.AskAsync("/score", new { texts = new[] { "a" } });
        Assert.AreEqual("", string.Join('\n', server.Log.Lines));
    }

    [TestMethod]
    public async Task Post_StreamThatTakesTooLong_EndsWithAnErrorEvent()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options =>
        {
            options.SecondsPerRequest = 1;
            options.NewTokens = EndlessTokens;
        });
        using HttpResponseMessage response = await server.PostAsync("/v1/completions", Endless);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string last = "";
        while (await RunningServer.ReadEventAsync(reader) is { } data)
            last = data;
        JsonElement error = JsonDocument.Parse(last).RootElement.GetProperty("error");
        Assert.AreEqual("timeout", error.GetProperty("code").GetString());
        StringAssert.Contains(error.GetProperty("message").GetString(), "1 seconds");
    }

    private static object Request(int seed, bool usage) => new
    {
        prompt = "the",
        max_tokens = 80,
        temperature = 1.3,
        seed,
        stream = true,
        stream_options = new { include_usage = usage },
    };

    private static GenerationResult Expected(int seed) => Model.Complete(
        "the", new GenerationOptions { MaximumNewTokens = 80, Temperature = 1.3, Seed = seed, PositionPolicy = PositionPolicy.Restart });
}
