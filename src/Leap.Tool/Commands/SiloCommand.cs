using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using StackExchange.Redis;

namespace Leap.Tool;

/// <summary><c>leap silo</c>: holds training runs for workers.</summary>
internal static class SiloCommand
{
    public static Command Create()
    {
        var command = new Command(
            "silo",
            """
            Holds training runs, for workers that 'leap train --cluster' starts. Alone it keeps them in memory; with --redis several silos form a cluster, and a run survives
            the end of a silo. Ctrl+C ends it.

            Examples:
              leap silo
              leap silo --host 10.0.0.5
              leap silo --redis localhost:6379
              leap silo --redis localhost:6379 --port 11112 --gateway 30001
            """);
        var host = new Option<string>("--host")
        {
            Description = "This machine's address, as others reach it.",
            HelpName = "ADDRESS",
            DefaultValueFactory = _ => IPAddress.Loopback.ToString(),
        };
        var port = new Option<int>("--port") { Description = "The port for other silos.", HelpName = "N", DefaultValueFactory = _ => ClusterAddress.SiloPort };
        var gateway = new Option<int>("--gateway") { Description = "The port for workers.", HelpName = "N", DefaultValueFactory = _ => ClusterAddress.GatewayPort };
        var redis = new Option<string?>("--redis") { Description = "A Redis server that keeps the cluster's members and the runs.", HelpName = "HOST:PORT" };
        var json = new Option<bool>("--json") { Description = "Writes where it listens as JSON." };
        foreach (Option option in (Option[])[host, port, gateway, redis, json])
            command.Add(option);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (!IPAddress.TryParse(parsed.GetValue(host), out IPAddress? address) || address.Equals(IPAddress.Any))
                throw new UsageException($"--host must be an address that others reach, such as 10.0.0.5, but is '{parsed.GetValue(host)}'.");
            foreach (Option<int> number in (Option<int>[])[port, gateway])
            {
                if (parsed.GetValue(number) is < 1 or > IPEndPoint.MaxPort)
                    throw new UsageException($"{number.Name} must be from 1 to {IPEndPoint.MaxPort}, but is {parsed.GetValue(number)}.");
            }

            var place = new IPEndPoint(address, parsed.GetValue(gateway));
            RequireFree(address, parsed.GetValue(port), port.Name);
            RequireFree(address, place.Port, gateway.Name);
            using IHost silo = Build(address, parsed.GetValue(port), place.Port, parsed.GetValue(redis));
            await silo.StartAsync(cancellationToken).ConfigureAwait(false);
            TextWriter output = parsed.InvocationConfiguration.Output;
            await output.WriteLineAsync(parsed.GetValue(json)
                ? JsonSerializer.Serialize(new { gateway = place.ToString() }, InfoCommand.JsonLine)
                : $"The silo answers at {place}. Workers: leap train FILE... --cluster {(parsed.GetValue(redis) is string server ? $"redis:{server}" : place)} --run NAME. Ctrl+C ends it.").ConfigureAwait(false);
            await output.FlushAsync(cancellationToken).ConfigureAwait(false);
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ContinueWith(_ => { }, TaskScheduler.Default).ConfigureAwait(false);
            await silo.StopAsync(CancellationToken.None).ConfigureAwait(false);
        });
        return command;
    }

    // Orleans shares a port with another silo that has it, without a word: each would hold runs that half of the workers find.
    private static void RequireFree(IPAddress address, int port, string option)
    {
        using var listener = new TcpListener(address, port);
        try
        {
            listener.Start();
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new InvalidOperationException($"Port {port} of {address} is in use, perhaps by another silo. End that, or choose another port by {option}.", e);
        }
    }

    private static IHost Build(IPAddress address, int port, int gateway, string? redis)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true).SetMinimumLevel(LogLevel.Warning)
            .AddFilter(typeof(LeapCluster).Namespace, LogLevel.Information)
            .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.UseOrleans(silo =>
        {
            silo.ConfigureEndpoints(address, port, gateway, listenOnAnyHostAddress: !IPAddress.IsLoopback(address)).AddLeapTraining();
            ClusterAddress.Name(silo.Services);
            if (redis is null)
            {
                silo.UseDevelopmentClustering(new IPEndPoint(address, port)).AddMemoryGrainStorage(LeapSiloBuilderExtensions.StorageName);
                return;
            }

            ConfigurationOptions server = ClusterAddress.ParseRedis(redis);
            silo.UseRedisClustering(options => options.ConfigurationOptions = server)
                .AddRedisGrainStorage(LeapSiloBuilderExtensions.StorageName, options => options.ConfigurationOptions = server);

            // A silo that is gone is to be noticed in seconds: its runs wait for another one.
            silo.Configure<ClusterMembershipOptions>(membership =>
            {
                membership.ProbeTimeout = TimeSpan.FromSeconds(2);
                membership.NumMissedProbesLimit = 3;
                membership.TableRefreshTimeout = TimeSpan.FromSeconds(10);
            });
        });
        return builder.Build();
    }
}

/// <summary>Where a cluster is: a silo's address and port, or a Redis server that knows its silos.</summary>
internal static class ClusterAddress
{
    public const int SiloPort = 11111;
    public const int GatewayPort = 30000;

    // Orleans itself would try for minutes.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private const string RedisPrefix = "redis:";
    private const string ClusterName = "leap";

    /// <summary>Connects to a cluster.</summary>
    /// <param name="text">HOST:PORT of a silo, or redis:HOST:PORT.</param>
    /// <param name="log">Where the client's warnings go.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>A host with a connected client, which the caller ends.</returns>
    public static async Task<IHost> ConnectAsync(string text, ILoggerProvider log, CancellationToken cancellationToken)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Error).AddFilter(typeof(LeapCluster).Namespace, LogLevel.Information)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        builder.UseOrleansClient(client =>
        {
            Name(client.Services);
            client.Configure<GatewayOptions>(gateways => gateways.GatewayListRefreshPeriod = TimeSpan.FromSeconds(5));
            if (text.StartsWith(RedisPrefix, StringComparison.Ordinal))
            {
                ConfigurationOptions server = ParseRedis(text[RedisPrefix.Length..]);
                client.UseRedisClustering(options => options.ConfigurationOptions = server);
            }
            else
            {
                client.UseStaticClustering(ParseSilo(text));
            }
        });
        IHost host = builder.Build();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(Patience);
        try
        {
            await host.StartAsync(timeout.Token).ConfigureAwait(false);
            return host;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            host.Dispose();
            string reason = e is OperationCanceledException ? $"nothing answered for {Patience.TotalSeconds} s." : e.Message;
            throw new InvalidOperationException($"The cluster at {text} cannot be reached: {reason} Start one by 'leap silo'.", e);
        }
    }

    /// <summary>Gives a silo or a client the name of the cluster that all of them have.</summary>
    public static void Name(IServiceCollection services) => services.Configure<ClusterOptions>(options =>
    {
        options.ClusterId = ClusterName;
        options.ServiceId = ClusterName;
    });

    /// <summary>Reads the place of a Redis server.</summary>
    /// <exception cref="UsageException">It is none.</exception>
    public static ConfigurationOptions ParseRedis(string text)
    {
        try
        {
            ConfigurationOptions options = ConfigurationOptions.Parse(text);
            options.AbortOnConnectFail = false;
            return options.EndPoints.Count > 0 ? options : throw new UsageException($"A Redis server is given as HOST:PORT, but '{text}' names none.");
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"A Redis server is given as HOST:PORT, but is '{text}': {e.Message}");
        }
    }

    private static IPEndPoint ParseSilo(string text)
    {
        int colon = text.LastIndexOf(':');
        string name = colon < 0 ? text : text[..colon];
        int port = GatewayPort;
        if (name.Length == 0 || (colon >= 0 && (!int.TryParse(text.AsSpan(colon + 1), out port) || port is < 1 or > IPEndPoint.MaxPort)))
            throw new UsageException($"--cluster must be HOST:PORT or redis:HOST:PORT, but is '{text}'.");
        try
        {
            return new IPEndPoint(IPAddress.TryParse(name, out IPAddress? address) ? address : Dns.GetHostAddresses(name, AddressFamily.InterNetwork)[0], port);
        }
        catch (SocketException e)
        {
            throw new UsageException($"--cluster names the machine '{name}', which cannot be found: {e.Message}");
        }
    }
}
