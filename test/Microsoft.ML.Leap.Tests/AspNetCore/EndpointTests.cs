using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The endpoints besides completions, the page's files, and what is measured.</summary>
[TestClass]
public class EndpointTests
{
    private static RunningServer? s_server;

    private static RunningServer Server => s_server!;

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_server = await RunningServer.StartAsync(Model, options => options.ModelName = "tiny/one");

    [ClassCleanup]
    public static async Task StopAsync()
    {
        if (s_server is not null)
            await s_server.DisposeAsync();
    }

    [TestMethod]
    public async Task Score_Texts_GivesTheModelsOwnScores()
    {
        JsonElement scores = (await Server.AskAsync("/score", new { texts = TinyModel.Texts })).GetProperty("scores");
        Assert.AreEqual(TinyModel.Texts.Length, scores.GetArrayLength());
        foreach ((string text, JsonElement score) in TinyModel.Texts.Zip(scores.EnumerateArray()))
        {
            TextScore expected = Model.Score(text);
            Assert.AreEqual(expected.LogLikelihood, score.GetProperty("logLikelihood").GetDouble());
            Assert.AreEqual(expected.TokenCount, score.GetProperty("tokenCount").GetInt32());
            Assert.AreEqual(expected.Perplexity, score.GetProperty("perplexity").GetDouble());
        }
    }

    [TestMethod]
    public async Task Explain_Text_GivesTheReportAsItIs()
    {
        using HttpResponseMessage response = await Server.PostAsync("/explain", new { text = "the ☕ cat" });
        Assert.AreEqual(Model.Explain("the ☕ cat").ToJson(), await response.Content.ReadAsStringAsync());
        Assert.AreEqual("application/json", response.Content.Headers.ContentType?.MediaType);
    }

    [TestMethod]
    public async Task Embeddings_EachFormat_GivesTheModelsOwnVectors()
    {
        string[] texts = ["the cat", "a dog"];
        JsonElement numbers = await Server.AskAsync("/v1/embeddings", new { model = "tiny/one", input = texts });
        JsonElement bytes = await Server.AskAsync("/v1/embeddings", new { input = texts.Select(text => Model.Tokenizer.Encode(text)), encoding_format = "base64", dimensions = 16 });

        Assert.AreEqual(12, numbers.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.AreEqual("list", numbers.GetProperty("object").GetString());
        for (int i = 0; i < texts.Length; i++)
        {
            float[] expected = Model.Embed(texts[i]);
            JsonElement item = numbers.GetProperty("data")[i];
            Assert.AreEqual(i, item.GetProperty("index").GetInt32());
            Assert.AreEqual("embedding", item.GetProperty("object").GetString());
            CollectionAssert.AreEqual(expected, item.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()).ToArray());
            byte[] base64 = bytes.GetProperty("data")[i].GetProperty("embedding").GetBytesFromBase64();
            CollectionAssert.AreEqual(expected, Enumerable.Range(0, 16).Select(k => BitConverter.ToSingle(base64, 4 * k)).ToArray());
        }
    }

    [TestMethod]
    public async Task Models_ListAndOne_NameTheModel()
    {
        JsonElement list = JsonDocument.Parse(await Server.Client.GetStringAsync("/v1/models")).RootElement;
        Assert.AreEqual("tiny/one", list.GetProperty("data").EnumerateArray().Single().GetProperty("id").GetString());
        foreach (string path in new[] { "/v1/models/tiny/one", "/v1/models/tiny%2Fone" })
        {
            JsonElement one = JsonDocument.Parse(await Server.Client.GetStringAsync(path)).RootElement;
            Assert.AreEqual("tiny/one", one.GetProperty("id").GetString());
            Assert.AreEqual("model", one.GetProperty("object").GetString());
            Assert.IsTrue(one.TryGetProperty("owned_by", out _));
        }
    }

    [TestMethod]
    public async Task Info_Model_TellsItsShape()
    {
        JsonElement info = JsonDocument.Parse(await Server.Client.GetStringAsync("/info")).RootElement;
        Assert.AreEqual("tiny/one", info.GetProperty("name").GetString());
        Assert.AreEqual(Model.Config.ParameterCount, info.GetProperty("parameters").GetInt64());
        Assert.AreEqual(2, info.GetProperty("layers").GetInt32());
        Assert.AreEqual(2, info.GetProperty("heads").GetInt32());
        Assert.AreEqual(16, info.GetProperty("contextLength").GetInt32());
        Assert.AreEqual(16, info.GetProperty("readingLength").GetInt32());
        Assert.AreEqual(257, info.GetProperty("vocabularySize").GetInt32());
        Assert.AreEqual("bytes", info.GetProperty("tokenizer").GetString());
        Assert.AreEqual("""{"status":"ok"}""", await Server.Client.GetStringAsync("/health"));
    }

    [TestMethod]
    public async Task Page_Start_IsServedWithAStrictPolicyAndATag()
    {
        using HttpResponseMessage page = await Server.Client.GetAsync("/");
        Assert.AreEqual("text/html; charset=utf-8", page.Content.Headers.ContentType?.ToString());
        StringAssert.StartsWith(await page.Content.ReadAsStringAsync(), "<!DOCTYPE html>");
        string policy = page.Headers.GetValues("Content-Security-Policy").Single();
        StringAssert.Contains(policy, "default-src 'none'");
        Assert.DoesNotContain("unsafe", policy);
        Assert.AreEqual("nosniff", page.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.AreEqual("no-referrer", page.Headers.GetValues("Referrer-Policy").Single());

        using var again = new HttpRequestMessage(HttpMethod.Get, "/");
        again.Headers.IfNoneMatch.Add(page.Headers.ETag!);
        using HttpResponseMessage unchanged = await Server.Client.SendAsync(again);
        Assert.AreEqual(HttpStatusCode.NotModified, unchanged.StatusCode);
        Assert.AreEqual(0, (await unchanged.Content.ReadAsByteArrayAsync()).Length);
        again.Dispose();
        using var other = new HttpRequestMessage(HttpMethod.Head, "/");
        other.Headers.IfNoneMatch.Add(new EntityTagHeaderValue("\"other\""));
        using HttpResponseMessage head = await Server.Client.SendAsync(other);
        Assert.AreEqual(HttpStatusCode.OK, head.StatusCode);
        Assert.AreEqual(page.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
    }

    [TestMethod]
    public async Task Page_PathOfAGroupWithoutASlash_LeadsToTheOneWith()
    {
        using var handler = new HttpClientHandler { AllowAutoRedirect = false };
        await using RunningServer server = await RunningServer.StartAsync(TrainedModel.Transformer.Model, group: "/models/my leap");
        using var client = new HttpClient(handler) { BaseAddress = server.Client.BaseAddress };

        using HttpResponseMessage answer = await client.GetAsync("/models/my%20leap?a=b%26c");
        Assert.AreEqual(HttpStatusCode.Redirect, answer.StatusCode);
        Assert.AreEqual("./my%20leap/?a=b%26c", answer.Headers.Location?.OriginalString);
        Uri place = new(new Uri(client.BaseAddress!, "/models/my%20leap"), answer.Headers.Location!);
        StringAssert.StartsWith(await client.GetStringAsync(place), "<!DOCTYPE html>");
        using HttpResponseMessage script = await client.GetAsync(new Uri(place, "page.js"));
        Assert.AreEqual(HttpStatusCode.OK, script.StatusCode);
        using HttpResponseMessage info = await client.GetAsync(new Uri(place, "info"));
        Assert.AreEqual(HttpStatusCode.OK, info.StatusCode);
    }

    // Every file of the folder, by its name.
    [TestMethod]
    public async Task Page_EachFile_HasATypeThatBrowsersTake()
    {
        string[] files = [.. typeof(LeapServerOptions).Assembly.GetManifestResourceNames().Where(name => name.StartsWith("Page/", StringComparison.Ordinal))];
        CollectionAssert.Contains(files, "Page/index.html");
        foreach (string file in files.Where(name => name != "Page/index.html"))
        {
            using HttpResponseMessage response = await Server.Client.GetAsync(file["Page".Length..]);
            Assert.AreEqual(HttpStatusCode.OK, response.StatusCode, file);
            Assert.AreNotEqual("application/octet-stream", response.Content.Headers.ContentType?.MediaType, file);
        }
    }

    [TestMethod]
    public async Task Metrics_OfRequests_AreCounted()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model);
        var counts = new Dictionary<string, double>();
        var tags = new HashSet<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Microsoft.ML.Leap.Server" && instrument.Meter.Scope == server.Services.GetRequiredService<IMeterFactory>())
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        listener.SetMeasurementEventCallback<double>((instrument, value, given, _) =>
        {
            Assert.IsInRange(0, 60, value);
            Add(instrument, 1);
            lock (tags)
            {
                foreach (KeyValuePair<string, object?> tag in given)
                    tags.Add($"{tag.Key}={tag.Value}");
            }
        });
        listener.Start();

        JsonElement answer = await server.AskAsync("/v1/completions", new { prompt = "the", max_tokens = 10, seed = 1 });
        await server.AskAsync("/score", new { texts = new[] { "abc" } });
        using HttpResponseMessage refused = await server.PostAsync("/score", new { });

        // An answer may arrive before its end is counted.
        for (int i = 0; i < 100 && Count("leap.server.request.duration") < 3; i++)
            await Task.Delay(20);
        Assert.AreEqual(0, Count("leap.server.active_requests"));
        Assert.AreEqual(3, Count("leap.server.request.duration"));
        Assert.AreEqual(1, Count("leap.server.time_to_first_token"));
        Assert.AreEqual(answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), Count("leap.server.generated_tokens"));
        Assert.AreEqual(3, Count("leap.server.scored_tokens"));
        lock (tags)
        {
            CollectionAssert.IsSubsetOf(
                new[] { "http.route=/score", "http.route=/v1/completions", "http.response.status_code=200", "http.response.status_code=400" }, tags.ToArray());
        }

        void Add(Instrument instrument, double value)
        {
            lock (counts)
                counts[instrument.Name] = counts.GetValueOrDefault(instrument.Name) + value;
        }

        double Count(string name)
        {
            lock (counts)
                return counts.GetValueOrDefault(name);
        }
    }

    [TestMethod]
    public void MapLeap_WithoutAddLeap_SaysWhatIsMissing()
    {
        WebApplication application = WebApplication.CreateSlimBuilder().Build();
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => application.MapLeap()).Message, "AddLeap");
    }

    [TestMethod]
    public void Options_OutsideTheirRanges_AreRefused()
    {
        var options = new LeapServerOptions();
        Action<int>[] least1 =
        [
            value => options.BodyBytes = value, value => options.Characters = value, value => options.Texts = value, value => options.NewTokens = value,
            value => options.PromptTokens = value, value => options.SecondsPerRequest = value, value => options.ConcurrentRequests = value,
        ];
        foreach (Action<int> set in least1)
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => set(0));
            set(1);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => options.QueueLength = -1);
        options.QueueLength = 0;
        Assert.Throws<ArgumentException>(() => options.ModelName = "");
        Assert.Throws<ArgumentException>(() => options.ApiKey = "");
        options.ApiKey = null;
    }
}
