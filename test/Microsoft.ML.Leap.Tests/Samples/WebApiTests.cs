using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using WebApi;

namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/WebApi, over HTTP on the loopback.</summary>
[TestClass]
public class WebApiTests
{
    private const int EndlessTokens = 1_000_000_000;

    // The model never ends it, and no test waits for its end.
    private static readonly object Endless =
        new { prompt = "the", stream = true, maximumNewTokens = EndlessTokens, minimumNewTokens = EndlessTokens };

    private static RunningWebApi? s_api;

    private static HttpClient Client => s_api!.Client;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) =>
        s_api = await RunningWebApi.StartAsync(
            "--Limits:Texts=8", "--Limits:Characters=1000", "--Limits:BodyBytes=20000", "--Limits:RequestsPerClient=32");

    [ClassCleanup]
    public static async Task StopAsync()
    {
        if (s_api is not null)
            await s_api.DisposeAsync();
    }

    [TestMethod]
    public async Task Health_Started_IsHealthy() => Assert.AreEqual("Healthy", await Client.GetStringAsync("/health"));

    [TestMethod]
    public async Task Score_Texts_GivesTheModelsOwnScores()
    {
        ScoredRowView[] expected = TrainedModel.Score(TinyModel.Texts);
        JsonElement scores = (await ReadAsync(await PostAsync("/score", new { texts = TinyModel.Texts }))).GetProperty("scores");

        Assert.AreEqual(expected.Length, scores.GetArrayLength());
        foreach ((ScoredRowView row, JsonElement score) in expected.Zip(scores.EnumerateArray()))
        {
            Assert.AreEqual(row.LogLikelihood, score.GetProperty("logLikelihood").GetSingle(), 1e-5f * Math.Abs(row.LogLikelihood));
            Assert.AreEqual(row.TokenCount, score.GetProperty("tokenCount").GetInt32());
            Assert.AreEqual(row.Perplexity, score.GetProperty("perplexity").GetSingle(), 1e-5f * row.Perplexity);
        }
    }

    [TestMethod]
    public async Task ScoreAndGenerate_FromManyClients_GiveEachItsOwn()
    {
        ScoredRowView[] expected = TrainedModel.Score(TinyModel.Texts);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            int row = i % TinyModel.Texts.Length;
            if (i % 2 == 0)
            {
                JsonElement answer = await ReadAsync(await PostAsync("/score", new { texts = new[] { TinyModel.Texts[row] } }));
                float score = answer.GetProperty("scores")[0].GetProperty("logLikelihood").GetSingle();
                Assert.AreEqual(expected[row].LogLikelihood, score, 1e-4f);
            }
            else
            {
                JsonElement answer = await ReadAsync(await PostAsync("/generate", new { prompt = "the", seed = i }));
                Assert.AreEqual(Expected("the", seed: i).Text, answer.GetProperty("text").GetString());
            }
        }));
    }

    [TestMethod]
    public async Task Generate_WithSeed_GivesTheModelsOwnText()
    {
        GenerationResult expected = Expected("the cat", seed: 3);
        JsonElement answer = await ReadAsync(await PostAsync("/generate", new { prompt = "the cat", seed = 3 }));

        Assert.AreEqual(expected.Text, answer.GetProperty("text").GetString());
        Assert.AreEqual(expected.Tokens.Count, answer.GetProperty("tokenCount").GetInt32());
        string reason = JsonNamingPolicy.CamelCase.ConvertName(expected.FinishReason.ToString());
        Assert.AreEqual(reason, answer.GetProperty("finishReason").GetString());
    }

    [TestMethod]
    public async Task Generate_Streamed_GivesTheSameTextInPieces()
    {
        var request = new { prompt = "the", seed = 3, maximumNewTokens = 200, minimumNewTokens = 200 };
        string whole = (await ReadAsync(await PostAsync("/generate", request))).GetProperty("text").GetString()!;
        using HttpResponseMessage response = await PostAsync(
            "/generate", new { request.prompt, request.seed, request.maximumNewTokens, request.minimumNewTokens, stream = true });

        Assert.AreEqual("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        List<JsonElement> pieces = [];
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await ReadPieceAsync(reader) is { } piece)
            pieces.Add(piece);
        Assert.IsGreaterThan(50, pieces.Count);
        Assert.AreEqual(whole, string.Concat(pieces.Select(piece => piece.GetProperty("text").GetString())));
        Assert.IsFalse(pieces[..^1].Any(piece => piece.TryGetProperty("finishReason", out _)));
        Assert.AreEqual("maximumNewTokens", pieces[^1].GetProperty("finishReason").GetString());
    }

    // A stream without end: its first pieces can only come before the text is complete, and a place that it takes is only given back when
    // its work has ended.
    [TestMethod]
    public async Task Generate_StreamLeftByItsClient_EndsTheWorkAndFreesItsMemory()
    {
        using var torch = new TorchState();
        await using RunningWebApi api = await StartWithFewPlacesAsync();
        for (int i = 0; i < 6; i++)
        {
            using HttpResponseMessage response = await api.PostAsync("/generate", Endless);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            Assert.IsNotNull(await ReadPieceAsync(reader));
            Assert.IsNotNull(await ReadPieceAsync(reader));
        }

        using HttpResponseMessage last = await api.PostAsync("/score", new { texts = new[] { "a" } });
        Assert.AreEqual(HttpStatusCode.OK, last.StatusCode);
    }

    [TestMethod]
    public async Task Generate_MoreRequestsThanPlaces_TurnsOneAwayWithTheReason()
    {
        await using RunningWebApi api = await StartWithFewPlacesAsync();
        using var ends = new CancellationTokenSource();
        List<Task<HttpResponseMessage>> streams = [.. Enumerable.Range(0, 5).Select(_ => api.PostAsync("/generate", Endless, ends.Token))];

        // Two compute, two wait.
        List<HttpResponseMessage> answers = [];
        for (int i = 0; i < 3; i++)
        {
            Task<HttpResponseMessage> answered = await Task.WhenAny(streams);
            streams.Remove(answered);
            answers.Add(await answered);
        }

        await ends.CancelAsync();
        HttpResponseMessage refused = answers.Single(answer => answer.StatusCode != HttpStatusCode.OK);
        Assert.AreEqual(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.IsGreaterThan(TimeSpan.Zero, refused.Headers.RetryAfter!.Delta!.Value);
        StringAssert.Contains(await refused.Content.ReadAsStringAsync(), "Try again later");
        answers.ForEach(answer => answer.Dispose());
    }

    [TestMethod]
    [DataRow("/score", """{ "texts": [] }""", "1 to 8 texts")]
    [DataRow("/score", """{ "texts": ["a", ""] }""", "texts[1]")]
    [DataRow("/score", """{ "texts": ["a", null] }""", "texts[1]")]
    [DataRow("/score", """{ "texts": ["1", "2", "3", "4", "5", "6", "7", "8", "9"] }""", "there are 9")]
    [DataRow("/score", """{ "texts": null }""", "texts")]
    [DataRow("/score", """{ "text": "a" }""", "$.text,")]
    [DataRow("/score", "{}", "texts")]
    [DataRow("/score", "{", "at $, line 1, byte 2")]
    [DataRow("/score", "", "JSON object")]
    [DataRow("/score", "null", "JSON object")]
    [DataRow("/score", "[]", "at $,")]
    [DataRow("/score", """{ "texts": [1] }""", "$.texts[0]")]
    [DataRow("/score", """{ "texts": ["\ud800"] }""", "$.texts[0]")]
    [DataRow("/score", """{ "\ud800": [] }""", "at $,")]
    [DataRow("/generate", """{ "prompt": null }""", "prompt")]
    [DataRow("/generate", """{ "prompt": "a", "temperature": -1 }""", "temperature")]
    [DataRow("/generate", """{ "prompt": "a", "temperature": "hot" }""", "$.temperature")]
    [DataRow("/generate", """{ "prompt": "a", "topK": -1 }""", "topK")]
    [DataRow("/generate", """{ "prompt": "a", "topP": 0 }""", "topP")]
    [DataRow("/generate", """{ "prompt": "a", "maximumNewTokens": 0 }""", "from 1 to")]
    [DataRow("/generate", """{ "prompt": "a", "maximumNewTokens": 5, "minimumNewTokens": 6 }""", "minimumNewTokens")]
    [DataRow("/generate", """{ "prompt": "a", "stopStrings": [""] }""", "stopStrings")]
    [DataRow("/generate", """{ "prompt": "a", "stopStrings": ["1", "2", "3", "4", "5", "6", "7", "8", "9"] }""", "stopStrings")]
    [DataRow("/generate", """{ "prompt": "a", "maximumTokens": 5 }""", "$.maximumTokens,")]
    [DataRow("/generate", "{}", "prompt")]
    public async Task Post_InvalidBody_IsRefusedWithTheReason(string path, string body, string reason)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await Client.PostAsync(path, content);
        string problem = await response.Content.ReadAsStringAsync();

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode, problem);
        Assert.AreEqual("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        StringAssert.Contains(JsonDocument.Parse(problem).RootElement.ToString(), reason);
        foreach (string internals in new[] { "System.", "WebApi", "Request ", "Request'" })
            Assert.DoesNotContain(internals, problem);
    }

    [TestMethod]
    [DataRow("application/json; charset=bogus")]
    [DataRow("application/json; charset=utf-7")]
    [DataRow("application/json; charset=\"utf-8\"")]
    [DataRow("text/plain")]
    public async Task Post_OtherContentType_IsRefusedWithTheReason(string contentType)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes("""{ "texts": ["a"] }"""));
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        using HttpResponseMessage response = await Client.PostAsync("/score", content);

        Assert.AreEqual(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        StringAssert.Contains(await response.Content.ReadAsStringAsync(), "in UTF-8");
    }

    [TestMethod]
    public async Task Post_LongNameOfAField_IsNotRepeated()
    {
        using HttpResponseMessage response = await PostAsync("/score", new Dictionary<string, int> { [new string('k', 15_000)] = 1 });

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.IsLessThan(1500, (await response.Content.ReadAsByteArrayAsync()).Length);
    }

    [TestMethod]
    public async Task Post_FaultsOfClients_AreNoFaultsInTheLog()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync("--Limits:BodyBytes=20000");
        foreach (string body in new[] { "{", """{ "texts": [] }""", """{ "text": "a" }""", $"[\"{new string('a', 30_000)}\"]" })
        {
            foreach (string contentType in new[] { "application/json", "application/json; charset=bogus" })
            {
                using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
                content.Headers.TryAddWithoutValidation("Content-Type", contentType);
                using HttpResponseMessage response = await api.Client.PostAsync("/score", content);
                Assert.IsInRange(400, 499, (int)response.StatusCode);
            }
        }

        Assert.AreEqual("", string.Join('\n', api.Log.Lines));
    }

    [TestMethod]
    public async Task Score_AHundredThousandEmptyTexts_AreRefusedInAFewWords()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync("--Limits:BodyBytes=1000000", "--Limits:Texts=64");
        using HttpResponseMessage response = await api.PostAsync("/score", new { texts = Enumerable.Repeat("", 100_000) });
        string problem = await response.Content.ReadAsStringAsync();

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        StringAssert.Contains(problem, "1 to 64 texts, but there are 100000");
        Assert.IsLessThan(500, problem.Length);
    }

    // Two uploads that stop halfway, and a single place.
    [TestMethod]
    public async Task Post_BesideSlowUploads_IsAnswered()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync("--Limits:ConcurrentRequests=1");
        using TcpClient first = await api.StartUploadAsync();
        using TcpClient second = await api.StartUploadAsync();
        await Task.Delay(200);

        await ReadAsync(await api.PostAsync("/score", new { texts = new[] { "a" } }).WaitAsync(TimeSpan.FromSeconds(4)));
    }

    [TestMethod]
    public async Task Post_UploadThatStops_IsEnded()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync("--Limits:BodyBytesPerSecond=1000");
        using TcpClient upload = await api.StartUploadAsync();
        using var reader = new StreamReader(upload.GetStream());
        using var ends = new CancellationTokenSource(TimeSpan.FromSeconds(30));

        StringAssert.Contains(await reader.ReadToEndAsync(ends.Token), "came too slowly");
        Assert.AreEqual("", string.Join('\n', api.Log.Lines));
    }

    [TestMethod]
    public async Task Post_MoreOpenRequestsThanAClientMay_AreTurnedAwayFromItAlone()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync("--Limits:RequestsPerClient=2");
        using TcpClient first = await api.StartUploadAsync();
        using TcpClient second = await api.StartUploadAsync();
        await Task.Delay(200);
        using HttpResponseMessage refused = await api.PostAsync("/score", new { texts = new[] { "a" } });

        Assert.AreEqual(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.IsGreaterThan(TimeSpan.Zero, refused.Headers.RetryAfter!.Delta!.Value);
        StringAssert.Contains(await refused.Content.ReadAsStringAsync(), "Try again later");
        using HttpClient other = api.NewClientFrom("127.0.0.2");
        await ReadAsync(await other.PostAsJsonAsync("/score", new { texts = new[] { "a" } }));
    }

    [TestMethod]
    public async Task Generate_ClientWithManyRequests_LeavesAPlaceToOthers()
    {
        await using RunningWebApi api = await RunningWebApi.StartAsync(
            $"--Limits:NewTokens={EndlessTokens}", "--Limits:ConcurrentRequests=2", "--Limits:ConcurrentRequestsPerClient=1");
        using var ends = new CancellationTokenSource();
        List<Task<HttpResponseMessage>> streams = [.. Enumerable.Range(0, 5).Select(_ => api.PostAsync("/generate", Endless, ends.Token))];
        using HttpResponseMessage started = await await Task.WhenAny(streams);
        Assert.AreEqual(HttpStatusCode.OK, started.StatusCode);

        using HttpClient other = api.NewClientFrom("127.0.0.2");
        await ReadAsync(await other.PostAsJsonAsync("/score", new { texts = new[] { "a" } }).WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.AreEqual(1, streams.Count(stream => stream.IsCompletedSuccessfully));
        await ends.CancelAsync();
    }

    [TestMethod]
    public async Task Post_TooMuchText_IsRefusedWithTheReason()
    {
        // Two texts that are too long together.
        using HttpResponseMessage text = await PostAsync("/score", new { texts = new[] { new string('a', 500), new string('a', 501) } });
        Assert.AreEqual(HttpStatusCode.BadRequest, text.StatusCode);
        StringAssert.Contains(await text.Content.ReadAsStringAsync(), "together have 1001");

        using HttpResponseMessage prompt = await PostAsync("/generate", new { prompt = new string('a', 1001) });
        Assert.AreEqual(HttpStatusCode.BadRequest, prompt.StatusCode);
        StringAssert.Contains(await prompt.Content.ReadAsStringAsync(), "it has 1001");

        using HttpResponseMessage body = await PostAsync("/generate", new { prompt = new string('a', 20_000) });
        Assert.AreEqual(HttpStatusCode.RequestEntityTooLarge, body.StatusCode);
        StringAssert.Contains(await body.Content.ReadAsStringAsync(), "at most 20000 bytes");
    }

    [TestMethod]
    public void Create_NoSuchModel_NamesTheFile()
    {
        Exception fault = Assert.Throws<IOException>(() => Application.Create(["--Model:Path=nowhere.zip"]));
        StringAssert.Contains(fault.Message, "nowhere.zip");
    }

    // The sample's own defaults.
    private static GenerationResult Expected(string prompt, int seed) => TrainedModel.Transformer.Complete(prompt, new GenerationOptions
    {
        MaximumNewTokens = 100,
        Temperature = 0.8,
        TopK = 40,
        Seed = seed,
        PositionPolicy = PositionPolicy.Restart,
    });

    private static Task<RunningWebApi> StartWithFewPlacesAsync() => RunningWebApi.StartAsync(
        $"--Limits:NewTokens={EndlessTokens}", "--Limits:ConcurrentRequests=2", "--Limits:ConcurrentRequestsPerClient=8",
        "--Limits:QueuedRequests=2");

    private static Task<HttpResponseMessage> PostAsync(string path, object body) => s_api!.PostAsync(path, body);

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        using (response)
        {
            string body = await response.Content.ReadAsStringAsync();
            Assert.AreEqual(HttpStatusCode.OK, response.StatusCode, body);
            return JsonDocument.Parse(body).RootElement;
        }
    }

    private static async Task<JsonElement?> ReadPieceAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return JsonDocument.Parse(line["data: ".Length..]).RootElement;
        }

        return null;
    }
}
