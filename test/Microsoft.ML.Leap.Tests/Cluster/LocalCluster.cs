using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>A silo in this process, which keeps runs in memory, and whose clock can be put forward.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    private readonly IHost _host;

    private LocalCluster(IHost host, ShiftedClock clock, KeptLog log)
    {
        _host = host;
        Clock = clock;
        Log = log;
    }

    public ShiftedClock Clock { get; }

    public KeptLog Log { get; }

    public IClusterClient Client => _host.Services.GetRequiredService<IClusterClient>();

    public static Task<LocalCluster> StartAsync() => StartAsync(FreePort(), FreePort());

    /// <param name="port">The port for silos.</param>
    /// <param name="gateway">The port for clients.</param>
    /// <param name="change">Changes the silo.</param>
    public static async Task<LocalCluster> StartAsync(int port, int gateway, Action<ISiloBuilder>? change = null)
    {
        var clock = new ShiftedClock();
        var log = new KeptLog();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.ML.Leap", LogLevel.Information);
        builder.UseOrleans(silo =>
        {
            silo.UseLocalhostClustering(port, gateway).AddMemoryGrainStorage(LeapSiloBuilderExtensions.StorageName).AddLeapTraining();
            silo.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(clock));
            change?.Invoke(silo);
        });
        IHost host = builder.Build();
        await host.StartAsync();
        return new LocalCluster(host, clock, log);
    }

    /// <summary>Gives a port of this machine that nothing listens at.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public ITrainingRun Run(string name) => Client.GetGrain<ITrainingRun>(name);

    public LeapCluster Connect(MLContext context) => context.Leap().Cluster(Client);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}

/// <summary>The time of day, or a later one.</summary>
internal sealed class ShiftedClock : TimeProvider
{
    private long _shift;

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _shift));

    public void Advance(TimeSpan time) => Interlocked.Add(ref _shift, time.Ticks);
}
