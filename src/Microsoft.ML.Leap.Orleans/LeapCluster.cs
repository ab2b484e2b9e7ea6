using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap;

/// <summary>Trains language models together with other processes, through a cluster of Microsoft Orleans whose silos have
/// <see cref="Orleans.Hosting.LeapSiloBuilderExtensions.AddLeapTraining"/>.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class LeapCluster
{
    private readonly MLContext _context;
    private readonly IClusterClient _client;

    internal LeapCluster(MLContext context, IClusterClient client)
    {
        _context = context;
        _client = client;
    }

    /// <summary>Trains a model as a worker of a run: on this worker's part of the rows, with the weights made one with the other workers' after every round of
    /// steps (DiLoCo, Douillard et al. 2023).</summary>
    /// <param name="options">The options, which are copied; the same for all workers of the run.</param>
    /// <param name="trainingData">The training texts: the same for all workers, or this one's own part (<see cref="ClusterTrainingOptions.HasOwnPart"/>).</param>
    /// <param name="validationData">The validation texts; <see langword="null"/>, the default, sets rows of the training texts aside, as for one machine.</param>
    /// <param name="cancellationToken">Takes the worker out of the run. The others go on.</param>
    /// <returns>The model, which the caller disposes. Its network is the same on all workers; its memory has the n-grams of the rows that this worker was given. When
    /// the run was over before, its network as it is.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> or <paramref name="trainingData"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range, or the text column is missing or holds no text scalar.</exception>
    /// <exception cref="ArgumentException">Values do not fit together, or are not for a cluster.</exception>
    /// <exception cref="InvalidOperationException">The run has other options, or is of another version; the cluster could not be reached for
    /// <see cref="ClusterTrainingOptions.Patience"/>; or the training fails as on one machine.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async Task<LeapLanguageModelTransformer> TrainAsync(
        ClusterTrainingOptions options, IDataView trainingData, IDataView? validationData = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(trainingData);
        ClusterTrainingOptions copy = options.Copy();
        copy.Validate();
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, copy.Trainer.CancellationToken);
        copy.Trainer.CancellationToken = linked.Token;
        ILogger<ClusterWorker> logger = _client.ServiceProvider.GetRequiredService<ILogger<ClusterWorker>>();
        await using var worker = new ClusterWorker(_client.GetGrain<ITrainingRun>(copy.RunName), copy, logger);
        copy.Trainer.Progress += worker.Observe;
        var trainer = new LeapLanguageModelTrainer(_context, copy.Trainer) { Group = worker };

        // A thread of its own: it computes for hours, and waits for grains.
        return await Task.Factory.StartNew(
            () => trainer.Fit(trainingData, validationData), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Gets how a run stands.</summary>
    /// <param name="runName">Its name.</param>
    /// <returns>Its state; <see cref="RunPhase.Planning"/> for a run that nobody has begun.</returns>
    /// <exception cref="ArgumentException"><paramref name="runName"/> is <see langword="null"/> or empty.</exception>
    public Task<ClusterProgress> GetProgressAsync(string runName)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(runName);
        return _client.GetGrain<ITrainingRun>(runName).GetProgress();
    }

    /// <summary>Forgets a run, its weights included, so that its name is free. Workers that still train begin a new run.</summary>
    /// <param name="runName">Its name.</param>
    /// <returns>A task that ends when the storage has forgotten it.</returns>
    /// <exception cref="ArgumentException"><paramref name="runName"/> is <see langword="null"/> or empty.</exception>
    public Task DeleteRunAsync(string runName)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(runName);
        return _client.GetGrain<ITrainingRun>(runName).Delete();
    }
}

/// <summary>Leads from <see cref="LeapCatalog"/> to training on a cluster.</summary>
public static class LeapClusterExtensions
{
    /// <summary>Trains on a cluster.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="client">A connected client of the cluster.</param>
    /// <returns>What trains there.</returns>
    /// <exception cref="ArgumentNullException">An argument is <see langword="null"/>.</exception>
    public static LeapCluster Cluster(this LeapCatalog catalog, IClusterClient client)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(client);
        return new LeapCluster(catalog.Context, client);
    }
}
