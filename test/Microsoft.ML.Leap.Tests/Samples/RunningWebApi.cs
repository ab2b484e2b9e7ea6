using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
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
        _application.Services.GetRequiredService<ILoggerFactory>().AddProvider(Log);
    }

    /// <summary>What the application logs as a warning or worse.</summary>
    public KeptLog Log { get; } = new();

    // Left in the middle of an answer, it does not read on to its end.
    public HttpClient Client { get; } = NewClient(new SocketsHttpHandler());

    public static async Task<RunningWebApi> StartAsync(params string[] settings)
    {
        var running = new RunningWebApi(settings);
        await running._application.StartAsync();
        running.Client.BaseAddress = new Uri(running._application.Urls.Single());
        return running;
    }

    /// <summary>Makes a client that comes from another address of the loopback.</summary>
    public HttpClient NewClientFrom(string address)
    {
        HttpClient client = NewClient(new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        client.BaseAddress = Client.BaseAddress;
        return client;
    }

    /// <summary>Sends the beginning of a request to score, and no more.</summary>
    public async Task<TcpClient> StartUploadAsync()
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Client.BaseAddress!.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            "POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{ \"texts\": [\"a"));
        return client;
    }

    /// <summary>Gives the answer as soon as its headers are there.</summary>
    public async Task<HttpResponseMessage> PostAsync(string path, object body, CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    private static HttpClient NewClient(SocketsHttpHandler handler)
    {
        handler.MaxResponseDrainSize = 0;
        return new HttpClient(handler) { Timeout = TimeSpan.FromMinutes(1) };
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

/// <summary>Lines of a log.</summary>
internal sealed class KeptLog : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    public IEnumerable<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue($"{logLevel} {formatter(state, exception)} {exception}");

    public void Dispose()
    {
    }
}
