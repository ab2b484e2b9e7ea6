using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.ML.Leap.Tests;

namespace Leap.Tool.Tests;

/// <summary>The server as the tool starts it; its endpoints have tests of their own.</summary>
[TestClass]
public sealed class ServeCommandTests : ToolTest
{
    [TestMethod]
    public async Task Serve_Loopback_AnswersAndEnds()
    {
        using var ending = new CancellationTokenSource();
        using var output = new UrlWriter();
        Task<int> serving = LeapTool.RunAsync(
            ["serve", Model, "--port", "0", "--json", "--new-tokens", "5"], new() { Output = output, Error = TextWriter.Null }, ending.Token);
        using var client = new HttpClient { BaseAddress = new Uri(await output.Url.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None)) };

        Assert.IsTrue(IPAddress.IsLoopback(IPAddress.Parse(client.BaseAddress.Host)));
        JsonElement answer = await PostAsync(client, "/score", new { texts = new[] { "the cat" } });
        Assert.AreEqual(TrainedModel.Transformer.Model.Score("the cat").Perplexity, answer.GetProperty("scores")[0].GetProperty("perplexity").GetDouble(), 1e-4);
        JsonElement models = JsonElement.Parse(await client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), CancellationToken.None));
        Assert.AreEqual("model", models.GetProperty("data")[0].GetProperty("id").GetString());
        using HttpResponseMessage tooMuch = await client.PostAsJsonAsync(new Uri("/v1/completions", UriKind.Relative), new { model = "model", prompt = "a", max_tokens = 6 }, CancellationToken.None);
        Assert.AreEqual(HttpStatusCode.BadRequest, tooMuch.StatusCode);

        using var foreign = new HttpRequestMessage(HttpMethod.Get, new Uri("/v1/models", UriKind.Relative)) { Headers = { Host = "elsewhere.example" } };
        using HttpResponseMessage rebound = await client.SendAsync(foreign, CancellationToken.None);
        Assert.AreEqual(HttpStatusCode.BadRequest, rebound.StatusCode);

        await ending.CancelAsync();
        Assert.AreEqual(0, await serving.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None));
        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("/health", UriKind.Relative), CancellationToken.None));
    }

    [TestMethod]
    public async Task Serve_ProcessWithKey_AsksForItAndEndsOnSignal()
    {
        if (OperatingSystem.IsWindows())
            Assert.Inconclusive("kill is of Unix.");
        var start = new ProcessStartInfo("dotnet", [typeof(LeapTool).Assembly.Location, "serve", Model, "--port", "0", "--host", "0.0.0.0", "--json"]) { RedirectStandardOutput = true };
        start.Environment["LEAP_API_KEY"] = "secret";
        using Process process = Process.Start(start)!;
        try
        {
            JsonElement place = JsonElement.Parse((await process.StandardOutput.ReadLineAsync(CancellationToken.None))!);
            int port = new Uri(place.GetProperty("url").GetString()!).Port;
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            using HttpResponseMessage refused = await client.GetAsync(new Uri("/v1/models", UriKind.Relative), CancellationToken.None);
            Assert.AreEqual(HttpStatusCode.Unauthorized, refused.StatusCode);
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");
            StringAssert.Contains(await client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), CancellationToken.None), "\"model\"");

            using Process kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            await process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
            Assert.AreEqual(0, process.ExitCode);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    [TestMethod]
    public void Serve_WrongUsage_Exits2()
    {
        ToolRun.Bad(2, "LEAP_API_KEY", "serve", Model, "--host", "0.0.0.0");
        ToolRun.Bad(2, "--host must be an address", "serve", Model, "--host", "nowhere");
        ToolRun.Bad(2, "--port must be from 0 to 65535", "serve", Model, "--port", "70000");
        ToolRun.Bad(2, "ConcurrentRequests must be at least 1", "serve", Model, "--port", "0", "--concurrency", "0");
        ToolRun.Bad(1, "none.zip", "serve", "none.zip");
    }

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, object body)
    {
        using HttpResponseMessage response = await client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body, CancellationToken.None);
        response.EnsureSuccessStatusCode();
        return JsonElement.Parse(await response.Content.ReadAsStringAsync(CancellationToken.None));
    }

    /// <summary>Waits for the line that tells where the server listens.</summary>
    private sealed class UrlWriter : StringWriter
    {
        private readonly TaskCompletionSource<string> _url = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<string> Url => _url.Task;

        public override Task WriteLineAsync(string? value)
        {
            _url.TrySetResult(JsonElement.Parse(value!).GetProperty("url").GetString()!);
            return Task.CompletedTask;
        }
    }
}
