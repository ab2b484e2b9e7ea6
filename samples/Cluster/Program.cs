using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML;
using Microsoft.ML.Leap;

// Trains one model in several processes: 'cluster silo' in one shell, 'cluster worker FILE MODEL' in two others. All are on one machine here; docs/scale-out.md tells how to
// spread them.
switch (args)
{
    case ["silo"]:
        HostApplicationBuilder silo = Host.CreateApplicationBuilder();
        silo.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.ML.Leap", LogLevel.Information);
        silo.UseOrleans(orleans => orleans
            .UseLocalhostClustering()
            .AddMemoryGrainStorage(LeapSiloBuilderExtensions.StorageName)
            .AddLeapTraining());
        await silo.Build().RunAsync();
        return 0;

    case ["worker", string file, string model]:
        HostApplicationBuilder worker = Host.CreateApplicationBuilder();
        worker.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.ML.Leap", LogLevel.Information);

        // It waits for a silo that is not there yet.
        worker.UseOrleansClient(orleans => orleans.UseLocalhostClustering().UseConnectionRetryFilter(async (_, cancellationToken) =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
            return true;
        }));
        using (IHost host = worker.Build())
        {
            await host.StartAsync();
            await TrainAsync(host.Services.GetRequiredService<IClusterClient>(), file, model);
        }

        return 0;

    default:
        Console.Error.WriteLine("usage: cluster silo | cluster worker TEXT-FILE MODEL.zip");
        return 2;
}

static async Task TrainAsync(IClusterClient client, string file, string model)
{
    var mlContext = new MLContext(seed: 1);
    IDataView data = mlContext.Data.LoadFromEnumerable(File.ReadLines(file).Where(line => line.Length > 0).Select(line => new Document { Text = line }));
    LeapCluster cluster = mlContext.Leap().Cluster(client);
    using LeapLanguageModelTransformer transformer = await cluster.TrainAsync(
        new ClusterTrainingOptions
        {
            RunName = Path.GetFileName(file),
            WorkerCount = 2,
            Trainer = new LeapLanguageModelTrainer.Options
            {
                Progress = progress =>
                {
                    // After each round all workers have the same weights.
                    if (progress.ValidationLoss is not null)
                        Console.WriteLine(progress);
                },
            },
        },
        data);
    mlContext.Leap().Save(transformer, data.Schema, model);
    Console.WriteLine($"{model}: {transformer.Config}");
}

/// <summary>A line of the file.</summary>
internal sealed class Document
{
    public string Text { get; set; } = "";
}
