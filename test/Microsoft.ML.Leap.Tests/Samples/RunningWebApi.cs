using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using WebApi;

namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/WebApi with the shared tiny model, listening on a free port of the loopback.</summary>
internal sealed class RunningWebApi : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly WebApplication _application;

    private RunningWebApi(string[] settings)
    {
        string path = Path.Combine(_folder.Path, "model.zip");
        TrainedModel.Context.Model.Save(TrainedModel.Transformer, TinyModel.View(TrainedModel.Context).Schema, path);
        string[] always = [$"--Model:Path={path}", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=Warning"];
        _application = Application.Create([.. always, .. settings]);
    }

    // Left in the middle of an answer, it does not read on to its end.
    public HttpClient Client { get; } =
        new(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { Timeout = TimeSpan.FromMinutes(1) };

    public static async Task<RunningWebApi> StartAsync(params string[] settings)
    {
        var running = new RunningWebApi(settings);
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

    /// <summary>Stops listening, waits for the work of requests to end, and frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.StopAsync();
        await _application.DisposeAsync();
        _folder.Dispose();
    }
}
