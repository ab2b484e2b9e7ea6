using System.CommandLine;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Leap.Tool;

/// <summary><c>leap serve</c>: a model over HTTP, and a page to try it on.</summary>
internal static class ServeCommand
{
    private const string KeyVariable = "LEAP_API_KEY";

    private static readonly LeapServerOptions Defaults = new();

    public static Command Create()
    {
        var command = new Command(
            "serve",
            $"""
            Serves a model over HTTP: OpenAI's completions, embeddings and models, and a page at the root to try it on. Other machines reach it only with --host, which
            needs a key in the environment variable {KeyVariable}; clients send it as 'Authorization: Bearer KEY'. Ctrl+C ends it when the requests under way are done.

            Examples:
              leap serve model.zip
              leap serve model.zip --port 9000 --name messages
              {KeyVariable}=secret leap serve model.zip --host 0.0.0.0
            """);
        var model = new ModelOptions();
        var host = new Option<string>("--host") { Description = "The address to listen on.", HelpName = "ADDRESS", DefaultValueFactory = _ => IPAddress.Loopback.ToString() };
        var port = new Option<int>("--port") { Description = "The port to listen on; 0 for a free one.", HelpName = "N", DefaultValueFactory = _ => 8080 };
        var name = new Option<string?>("--name") { Description = "What clients call the model; the file's name without it.", HelpName = "NAME" };
        var json = new Option<bool>("--json") { Description = "Writes where it listens, and its log, as JSON." };
        var limits = new Limits();
        model.AddTo(command);
        foreach (Option option in (Option[])[host, port, name, json])
            command.Add(option);
        limits.AddTo(command);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string? key = Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } given ? given : null;
            if (!IPAddress.TryParse(parsed.GetValue(host), out IPAddress? address))
                throw new UsageException($"--host must be an address such as 127.0.0.1 or 0.0.0.0, but is '{parsed.GetValue(host)}'.");
            if (parsed.GetValue(port) is < 0 or > IPEndPoint.MaxPort)
                throw new UsageException($"--port must be from 0 to {IPEndPoint.MaxPort}, but is {parsed.GetValue(port)}.");
            if (key is null && !IPAddress.IsLoopback(address))
                throw new UsageException($"Others reach {address}: set the environment variable {KeyVariable} to a key that clients must send.");

            using LeapLanguageModel loaded = model.Load(parsed);
            await using WebApplication app = Build(parsed.GetValue(json), new IPEndPoint(address, parsed.GetValue(port)), services => services.AddLeap(loaded, options =>
            {
                options.ModelName = parsed.GetValue(name) ?? Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(model.GetPath(parsed)));
                options.ApiKey = key;
                limits.Apply(parsed, options);
            }));
            await app.StartAsync(cancellationToken).ConfigureAwait(false);
            string url = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
            TextWriter output = parsed.InvocationConfiguration.Output;
            await output.WriteLineAsync(parsed.GetValue(json)
                ? JsonSerializer.Serialize(new { url }, InfoCommand.JsonLine)
                : $"The model answers at {url}, for example at {url}/v1/completions. Open {url} to try it; Ctrl+C ends it.").ConfigureAwait(false);
            await output.FlushAsync(cancellationToken).ConfigureAwait(false);
            using CancellationTokenRegistration ending = cancellationToken.Register(app.Lifetime.StopApplication);
            await app.WaitForShutdownAsync(CancellationToken.None).ConfigureAwait(false);
        });
        return command;
    }

    private static WebApplication Build(bool asJson, IPEndPoint place, Action<IServiceCollection> addModel)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(place);
        });
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning);
        if (asJson)
            builder.Logging.AddJsonConsole();
        else
            builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);

        // On the loopback, a page of the web must not reach it under a name of its own (DNS rebinding).
        if (IPAddress.IsLoopback(place.Address))
            builder.Services.AddHostFiltering(filtering => filtering.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"]);

        // The tool ends it.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        addModel(builder.Services);
        WebApplication app = builder.Build();
        if (IPAddress.IsLoopback(place.Address))
            app.UseHostFiltering();
        app.MapLeap();
        return app;
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    /// <summary>The options that limit what a request may ask for.</summary>
    private sealed class Limits
    {
        private readonly List<(Option<int> Option, Action<LeapServerOptions, int> Set)> _limits = [];

        public Limits()
        {
            Add("--concurrency", "Requests that are worked on at the same time.", options => options.ConcurrentRequests, (options, value) => options.ConcurrentRequests = value);
            Add("--queue", "Requests that wait for a place; those after them are refused.", options => options.QueueLength, (options, value) => options.QueueLength = value);
            Add("--seconds", "How long a request may take.", options => options.SecondsPerRequest, (options, value) => options.SecondsPerRequest = value);
            Add("--new-tokens", "The most tokens that are added to a text.", options => options.NewTokens, (options, value) => options.NewTokens = value);
            Add("--prompt-tokens", "The most tokens of a request's texts together.", options => options.PromptTokens, (options, value) => options.PromptTokens = value);
            Add("--texts", "The most texts of a request.", options => options.Texts, (options, value) => options.Texts = value);
            Add("--body", "The greatest size of a request, in bytes.", options => options.BodyBytes, (options, value) => options.BodyBytes = value);
        }

        public void AddTo(Command command)
        {
            foreach ((Option<int> option, _) in _limits)
                command.Add(option);
        }

        public void Apply(ParseResult parsed, LeapServerOptions options)
        {
            foreach ((Option<int> option, Action<LeapServerOptions, int> set) in _limits)
                set(options, parsed.GetValue(option));
        }

        private void Add(string name, string description, Func<LeapServerOptions, int> get, Action<LeapServerOptions, int> set)
        {
            int usual = get(Defaults);
            _limits.Add((
                new Option<int>(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => usual },
                set));
        }
    }
}
