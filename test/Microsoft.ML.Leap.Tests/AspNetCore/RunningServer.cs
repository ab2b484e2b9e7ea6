using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A model behind Kestrel, on a free port of the loopback.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    private readonly WebApplication _application;

    private RunningServer(LeapLanguageModel model, Action<LeapServerOptions>? configure, Action<WebApplicationBuilder>? more, string group)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders().AddProvider(Log).SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddLeap(model, configure);
        more?.Invoke(builder);
        _application = builder.Build();
        _application.MapGroup(group).MapLeap();
    }

    /// <summary>What the server logs as a warning or worse.</summary>
    public KeptLog Log { get; } = new();

    // Left in the middle of an answer, it does not read on to its end.
    public HttpClient Client { get; } = new(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { Timeout = TimeSpan.FromMinutes(1) };

    public IServiceProvider Services => _application.Services;

    public static async Task<RunningServer> StartAsync(
        LeapLanguageModel model, Action<LeapServerOptions>? configure = null, Action<WebApplicationBuilder>? more = null, string group = "")
    {
        var running = new RunningServer(model, configure, more, group);
        await running._application.StartAsync();
        running.Client.BaseAddress = new Uri(running._application.Urls.Single());
        return running;
    }

    /// <summary>Gives the answer as soon as its headers are there.</summary>
    public async Task<HttpResponseMessage> PostAsync(string path, object body, CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    /// <summary>Gives the JSON of an answer that must be a good one.</summary>
    public async Task<JsonElement> AskAsync(string path, object body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        return await ReadAsync(response, HttpStatusCode.OK);
    }

    /// <summary>Gives the error of an answer that must have a status.</summary>
    public static async Task<JsonElement> ReadErrorAsync(HttpResponseMessage response, HttpStatusCode status) =>
        (await ReadAsync(response, status)).GetProperty("error");

    /// <summary>Gives the values of a stream, which must end as OpenAI's streams do.</summary>
    public async Task<List<JsonElement>> StreamAsync(object body)
    {
        using HttpResponseMessage response = await PostAsync("/v1/completions", body);
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode);
        Assert.AreEqual("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        List<string> events = [];
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await ReadEventAsync(reader) is { } data)
            events.Add(data);
        Assert.AreEqual("[DONE]", events[^1]);
        return [.. events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement)];
    }

    public static async Task<string?> ReadEventAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return line["data: ".Length..];
            Assert.AreEqual("", line);
        }

        return null;
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response, HttpStatusCode status)
    {
        string body = await response.Content.ReadAsStringAsync();
        Assert.AreEqual(status, response.StatusCode, body);
        Assert.AreEqual("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonDocument.Parse(body).RootElement;
    }

    /// <summary>Stops listening, and waits for the work of requests to end. The model stays its owner's.</summary>
    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.StopAsync();
        await _application.DisposeAsync();
    }
}
