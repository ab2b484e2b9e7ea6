using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Leap.Tests;

/// <summary>What the server refuses, and what it says then.</summary>
[TestClass]
public class RefusalTests
{
    private static RunningServer? s_server;

    private static RunningServer Server => s_server!;

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_server = await RunningServer.StartAsync(Model, options =>
    {
        options.Texts = 8;
        options.Characters = 1000;
        options.PromptTokens = 500;
        options.NewTokens = 100;
        options.BodyBytes = 20_000;
    });

    [ClassCleanup]
    public static async Task StopAsync()
    {
        if (s_server is not null)
            await s_server.DisposeAsync();
    }

    [TestMethod]
    [DataRow("/v1/completions", """{ "prompt": 1 }""", "prompt", "must be a string, an array of strings")]
    [DataRow("/v1/completions", """{ "prompt": [] }""", "prompt", "empty array")]
    [DataRow("/v1/completions", """{ "prompt": [[]], "max_tokens": -1 }""", "max_tokens", "from 0 to 100")]
    [DataRow("/v1/completions", """{ "prompt": ["a", 1] }""", "prompt", "must be a string, an array of strings")]
    [DataRow("/v1/completions", """{ "prompt": [1, "a"] }""", "prompt", "from 0 to 256")]
    [DataRow("/v1/completions", """{ "prompt": [1, 257] }""", "prompt", "from 0 to 256")]
    [DataRow("/v1/completions", """{ "prompt": [1.5] }""", "prompt", "from 0 to 256")]
    [DataRow("/v1/completions", """{ "prompt": [[1], [-1]] }""", "prompt", "from 0 to 256")]
    [DataRow("/v1/completions", """{ "prompt": "\ud800" }""", "prompt", "no whole character")]
    [DataRow("/v1/completions", """{ "prompt": ["1","2","3","4","5","6","7","8","9"] }""", "prompt", "at most 8 texts, but has 9")]
    [DataRow("/v1/completions", """{ "max_tokens": 101 }""", "max_tokens", "from 0 to 100")]
    [DataRow("/v1/completions", """{ "max_tokens": "many" }""", "max_tokens", "whole number")]
    [DataRow("/v1/completions", """{ "max_tokens": 1e99 }""", "max_tokens", "whole number")]
    [DataRow("/v1/completions", """{ "temperature": 2.1 }""", "temperature", "from 0 to 2")]
    [DataRow("/v1/completions", """{ "temperature": -0.1 }""", "temperature", "from 0 to 2")]
    [DataRow("/v1/completions", """{ "temperature": "hot" }""", "temperature", "number")]
    [DataRow("/v1/completions", """{ "top_p": 1.1 }""", "top_p", "from 0 to 1")]
    [DataRow("/v1/completions", """{ "top_k": -1 }""", "top_k", "whole number")]
    [DataRow("/v1/completions", """{ "min_p": 2 }""", "min_p", "from 0 to 1")]
    [DataRow("/v1/completions", """{ "presence_penalty": 3 }""", "presence_penalty", "from -2 to 2")]
    [DataRow("/v1/completions", """{ "frequency_penalty": -3 }""", "frequency_penalty", "from -2 to 2")]
    [DataRow("/v1/completions", """{ "n": 0 }""", "n", "from 1 to 8")]
    [DataRow("/v1/completions", """{ "n": 9 }""", "n", "from 1 to 8")]
    [DataRow("/v1/completions", """{ "n": 5, "prompt": ["a", "b"] }""", "n", "at most 8, but is 10")]
    [DataRow("/v1/completions", """{ "n": 2, "best_of": 3 }""", "best_of", "equal to n")]
    [DataRow("/v1/completions", """{ "logprobs": 21 }""", "logprobs", "from 0 to 20")]
    [DataRow("/v1/completions", """{ "logprobs": true }""", "logprobs", "whole number")]
    [DataRow("/v1/completions", """{ "echo": 1 }""", "echo", "true or false")]
    [DataRow("/v1/completions", """{ "stream": "yes" }""", "stream", "true or false")]
    [DataRow("/v1/completions", """{ "stream_options": {} }""", "stream_options", "set stream to true")]
    [DataRow("/v1/completions", """{ "stream": true, "stream_options": 1 }""", "stream_options", "object")]
    [DataRow("/v1/completions", """{ "stop": "" }""", "stop", "1 to 1000 characters")]
    [DataRow("/v1/completions", """{ "stop": ["1","2","3","4","5"] }""", "stop", "up to 4 strings")]
    [DataRow("/v1/completions", """{ "stop": [1] }""", "stop", "must be a string")]
    [DataRow("/v1/completions", """{ "seed": 0.5 }""", "seed", "64 bits")]
    [DataRow("/v1/completions", """{ "seed": "1" }""", "seed", "64 bits")]
    [DataRow("/v1/completions", """{ "logit_bias": [] }""", "logit_bias", "object")]
    [DataRow("/v1/completions", """{ "logit_bias": { "257": 1 } }""", "logit_bias", "0 to 256, but names '257'")]
    [DataRow("/v1/completions", """{ "logit_bias": { "the": 1 } }""", "logit_bias", "names 'the'")]
    [DataRow("/v1/completions", """{ "logit_bias": { "1": 101 } }""", "logit_bias", "-100 to 100")]
    [DataRow("/v1/completions", """{ "logit_bias": { "1": "x" } }""", "logit_bias", "-100 to 100")]
    [DataRow("/v1/completions", """{ "suffix": "end" }""", "suffix", "left to right")]
    [DataRow("/v1/completions", """{ "model": 1 }""", "model", "string")]
    [DataRow("/v1/embeddings", "{}", "input", "missing")]
    [DataRow("/v1/embeddings", """{ "input": "" }""", "input", "empty")]
    [DataRow("/v1/embeddings", """{ "input": ["a", ""] }""", "input", "empty text")]
    [DataRow("/v1/embeddings", """{ "input": [] }""", "input", "empty array")]
    [DataRow("/v1/embeddings", """{ "input": "a", "encoding_format": "hex" }""", "encoding_format", "float or base64")]
    [DataRow("/v1/embeddings", """{ "input": "a", "dimensions": 3 }""", "dimensions", "must be 16")]
    [DataRow("/score", "{}", "texts", "1 to 8 strings")]
    [DataRow("/score", """{ "texts": [] }""", "texts", "1 to 8 strings")]
    [DataRow("/score", """{ "texts": null }""", "texts", "1 to 8 strings")]
    [DataRow("/score", """{ "texts": ["a", ""] }""", "texts[1]", "empty")]
    [DataRow("/score", """{ "texts": ["a", null] }""", "texts[1]", "string")]
    [DataRow("/score", """{ "texts": ["1","2","3","4","5","6","7","8","9"] }""", "texts", "there are 9")]
    [DataRow("/explain", "{}", "text", "missing")]
    [DataRow("/explain", """{ "text": ["a"] }""", "text", "string")]
    [DataRow("/explain", """{ "text": "0123456789012345" }""", "text", "at most 15 tokens, which the model reads at once, but has 16")]
    [DataRow("/score", "{", null, "line 1, byte 2")]
    [DataRow("/score", "", null, "no JSON")]
    [DataRow("/score", "null", null, "must be a JSON object")]
    [DataRow("/v1/completions", "[]", null, "must be a JSON object")]
    [DataRow("/v1/completions", """{ "prompt": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]] }""", null, "no JSON")]
    [DataRow("/v1/completions", """{ "\ud800": 1 }""", null, "name at byte 3")]
    [DataRow("/v1/completions", """{ "logit_bias": { "\udc00": 1 } }""", null, "name at byte 19")]
    public async Task Post_InvalidBody_IsRefusedWithTheReason(string path, string body, string? param, string reason)
    {
        using HttpResponseMessage response = await SendAsync(path, Encoding.UTF8.GetBytes(body));
        JsonElement error = await RunningServer.ReadErrorAsync(response, HttpStatusCode.BadRequest);

        Assert.AreEqual("invalid_request_error", error.GetProperty("type").GetString());
        Assert.AreEqual(param, error.GetProperty("param").GetString());
        StringAssert.Contains(error.GetProperty("message").GetString(), reason);
        foreach (string internals in new[] { "System.", "Microsoft.", "Exception", "   at " })
            Assert.DoesNotContain(internals, error.GetRawText());
        Assert.AreEqual("", string.Join('\n', Server.Log.Lines));
    }

    [TestMethod]
    [DataRow("application/json; charset=bogus")]
    [DataRow("application/json; charset=utf-7")]
    [DataRow("text/plain")]
    [DataRow("application/x-www-form-urlencoded")]
    [DataRow("")]
    public async Task Post_OtherContentType_IsRefused(string contentType)
    {
        using HttpResponseMessage response = await SendAsync("/score", """{ "texts": ["a"] }"""u8.ToArray(), contentType);
        JsonElement error = await RunningServer.ReadErrorAsync(response, HttpStatusCode.UnsupportedMediaType);
        StringAssert.Contains(error.GetProperty("message").GetString(), "application/json");
    }

    [TestMethod]
    [DataRow("application/json; charset=utf-8")]
    [DataRow("application/json; charset=\"UTF-8\"")]
    public async Task Post_Utf8_IsTaken(string contentType)
    {
        using HttpResponseMessage response = await SendAsync("/score", """{ "texts": ["a"] }"""u8.ToArray(), contentType);
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode);
    }

    [TestMethod]
    public async Task Post_BytesThatAreNoUtf8_AreRefused()
    {
        using HttpResponseMessage response = await SendAsync("/score", [.. "{\"texts\":[\""u8, 0xff, 0xfe, .. "\"]}"u8]);
        await RunningServer.ReadErrorAsync(response, HttpStatusCode.BadRequest);
    }

    [TestMethod]
    public async Task Post_TooMuchText_IsRefusedWithTheReason()
    {
        using HttpResponseMessage text = await Server.PostAsync("/score", new { texts = new[] { new string('a', 500), new string('a', 501) } });
        StringAssert.Contains((await RunningServer.ReadErrorAsync(text, HttpStatusCode.BadRequest)).GetProperty("message").GetString(), "but has 1001");

        using HttpResponseMessage tokens = await Server.PostAsync("/v1/completions", new { prompt = new string('é', 251) });
        StringAssert.Contains((await RunningServer.ReadErrorAsync(tokens, HttpStatusCode.BadRequest)).GetProperty("message").GetString(), "at most 500 tokens in all, but has 502");

        using HttpResponseMessage body = await Server.PostAsync("/score", new { texts = new string('a', 20_000) });
        StringAssert.Contains((await RunningServer.ReadErrorAsync(body, HttpStatusCode.RequestEntityTooLarge)).GetProperty("message").GetString(), "at most 20000 bytes");

        // Without a length that is told before.
        using var unknown = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes($"{{ \"texts\": [\"{new string('a', 30_000)}\"] }}")));
        unknown.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        unknown.Headers.ContentLength = null;
        using var chunked = new HttpRequestMessage(HttpMethod.Post, "/score") { Content = unknown };
        chunked.Headers.TransferEncodingChunked = true;
        using HttpResponseMessage refused = await Server.Client.SendAsync(chunked);
        await RunningServer.ReadErrorAsync(refused, HttpStatusCode.RequestEntityTooLarge);
    }

    [TestMethod]
    public async Task Post_LongNameOfATokenOrModel_IsNotRepeated()
    {
        foreach (object body in new object[]
        {
            new { logit_bias = new Dictionary<string, int> { [new string('k', 15_000)] = 1 } },
            new { model = new string('m', 15_000) },
        })
        {
            using HttpResponseMessage response = await Server.PostAsync("/v1/completions", body);
            Assert.IsInRange(400, 404, (int)response.StatusCode);
            Assert.IsLessThan(400, (await response.Content.ReadAsByteArrayAsync()).Length);
        }
    }

    [TestMethod]
    public async Task AnyPath_UnknownOrOfAnotherModel_IsNotFoundInOpenAIsShape()
    {
        using HttpResponseMessage path = await Server.PostAsync("/v1/chat/completions", new { messages = Array.Empty<object>() });
        StringAssert.Contains(
            (await RunningServer.ReadErrorAsync(path, HttpStatusCode.NotFound)).GetProperty("message").GetString(), "There is no POST /v1/chat/completions here");
        using HttpResponseMessage method = await Server.Client.GetAsync("/v1/completions");
        await RunningServer.ReadErrorAsync(method, HttpStatusCode.NotFound);
        using HttpResponseMessage model = await Server.PostAsync("/v1/completions", new { model = "gpt-3.5-turbo-instruct" });
        JsonElement error = await RunningServer.ReadErrorAsync(model, HttpStatusCode.NotFound);
        Assert.AreEqual("model_not_found", error.GetProperty("code").GetString());
        StringAssert.Contains(error.GetProperty("message").GetString(), "the model's name is 'leap'");
        using HttpResponseMessage named = await Server.Client.GetAsync("/v1/models/other");
        await RunningServer.ReadErrorAsync(named, HttpStatusCode.NotFound);
    }

    [TestMethod]
    public async Task AnyPath_WithoutTheKey_IsUnauthorized()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options => options.ApiKey = "secret");
        foreach (string? given in new[] { null, "Bearer wrong", "Basic secret", "Bearer ", "secret" })
        {
            foreach (string path in new[] { "/v1/models", "/info", "/v1/nothing" })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, path);
                if (given is not null)
                    request.Headers.TryAddWithoutValidation("Authorization", given);
                using HttpResponseMessage response = await server.Client.SendAsync(request);
                JsonElement error = await RunningServer.ReadErrorAsync(response, HttpStatusCode.Unauthorized);
                Assert.AreEqual("invalid_api_key", error.GetProperty("code").GetString());
            }
        }

        using HttpResponseMessage refused = await server.PostAsync("/score", new { texts = new[] { "a" } });
        Assert.AreEqual(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.AreEqual(HttpStatusCode.OK, (await server.Client.GetAsync("/")).StatusCode);
        Assert.AreEqual(HttpStatusCode.OK, (await server.Client.GetAsync("/health")).StatusCode);
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");
        await server.AskAsync("/score", new { texts = new[] { "a" } });
    }

    [TestMethod]
    public async Task Post_MoreThanWait_AreToldToComeLater()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options =>
        {
            options.ConcurrentRequests = 1;
            options.QueueLength = 1;
            options.NewTokens = int.MaxValue;
        });
        using var ends = new CancellationTokenSource();
        object endless = new { prompt = "the", stream = true, max_tokens = int.MaxValue, logit_bias = new Dictionary<string, int> { ["256"] = -100 } };
        using HttpResponseMessage first = await server.PostAsync("/v1/completions", endless, ends.Token);
        Assert.AreEqual(HttpStatusCode.OK, first.StatusCode);
        List<Task<HttpResponseMessage>> others = [.. Enumerable.Range(0, 3).Select(_ => server.PostAsync("/v1/completions", endless, ends.Token))];
        for (int i = 0; i < 2; i++)
        {
            Task<HttpResponseMessage> answered = await Task.WhenAny(others);
            others.Remove(answered);
            using HttpResponseMessage refused = await answered;
            Assert.AreEqual("rate_limit_exceeded", (await RunningServer.ReadErrorAsync(refused, HttpStatusCode.TooManyRequests)).GetProperty("code").GetString());
            Assert.IsGreaterThan(TimeSpan.Zero, refused.Headers.RetryAfter!.Delta!.Value);
        }

        Assert.IsFalse(others.Single().IsCompleted, "one waits");
        await ends.CancelAsync();
    }

    // Uploads that stop halfway, and a single place.
    [TestMethod]
    public async Task Post_BesideSlowUploads_IsAnsweredAndTheyAreEnded()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options =>
        {
            options.ConcurrentRequests = 1;
            options.SecondsPerRequest = 2;
        });
        using TcpClient upload = await StartUploadAsync(server);
        using TcpClient second = await StartUploadAsync(server);
        await Task.Delay(200);
        await server.AskAsync("/score", new { texts = new[] { "a" } }).WaitAsync(TimeSpan.FromSeconds(1.5));

        using var reader = new StreamReader(upload.GetStream());
        using var ends = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        string answer = await reader.ReadToEndAsync(ends.Token);
        StringAssert.StartsWith(answer, "HTTP/1.1 408");
        StringAssert.Contains(answer, "came too slowly");
    }

    [TestMethod]
    public async Task Post_DisposedModel_IsUnavailable()
    {
        LeapLanguageModel model = LoadCopy();
        await using RunningServer server = await RunningServer.StartAsync(model);
        Assert.AreEqual(HttpStatusCode.OK, (await server.Client.GetAsync("/health")).StatusCode);
        model.Dispose();
        Assert.AreEqual(HttpStatusCode.ServiceUnavailable, (await server.Client.GetAsync("/health")).StatusCode);
        using HttpResponseMessage response = await server.PostAsync("/v1/completions", new { prompt = "a" });
        await RunningServer.ReadErrorAsync(response, HttpStatusCode.ServiceUnavailable);
    }

    private static LeapLanguageModel LoadCopy() => LeapLanguageModel.Load(new MemoryStream(SavedModel.Zip(TrainedModel.Context, TrainedModel.Transformer)));

    private static async Task<HttpResponseMessage> SendAsync(string path, byte[] body, string contentType = "application/json")
    {
        using var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        return await Server.Client.PostAsync(path, content);
    }

    private static async Task<TcpClient> StartUploadAsync(RunningServer server)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Client.BaseAddress!.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            "POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{ \"texts\": [\"a"));
        return client;
    }
}
