using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Orleans.Serialization;
using Orleans.Storage;

namespace Orleans.Hosting;

/// <summary>Lets a silo of Microsoft Orleans hold training runs.</summary>
public static class LeapSiloBuilderExtensions
{
    /// <summary>The name of the grain storage that holds the runs: the shared weights after each round, and all that a run needs to go on.</summary>
    public const string StorageName = "leap";

    /// <summary>Lets the silo hold training runs of Microsoft.ML.Leap. The silo needs a grain storage of the name <see cref="StorageName"/>: one that
    /// outlives it, such as <c>AddRedisGrainStorage(LeapSiloBuilderExtensions.StorageName, ...)</c>, if a run is to outlive it, else
    /// <c>AddMemoryGrainStorage(LeapSiloBuilderExtensions.StorageName)</c>.</summary>
    /// <param name="builder">The silo.</param>
    /// <returns>The silo.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="builder"/> is <see langword="null"/>.</exception>
    public static ISiloBuilder AddLeapTraining(this ISiloBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton(TimeProvider.System);

        // Of this storage alone. To write weights as JSON, as storages do by default, takes several times as long as the rest of a round's end.
        builder.Services.TryAddKeyedSingleton<IGrainStorageSerializer>(
            StorageName, (services, _) => new OrleansGrainStorageSerializer(services.GetRequiredService<Serializer>()));
        return builder;
    }
}
