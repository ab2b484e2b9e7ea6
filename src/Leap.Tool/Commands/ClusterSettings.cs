using System.CommandLine;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML;

namespace Leap.Tool;

/// <summary>The options of <c>leap train</c> that make it a worker of a run on a cluster.</summary>
internal sealed class ClusterSettings
{
    private static readonly ClusterTrainingOptions Defaults = new() { RunName = "none" };

    private readonly Option<string?> _cluster = new("--cluster")
    {
        Description = "Trains as one of several workers, through a silo at HOST:PORT or the silos that redis:HOST:PORT knows.",
        HelpName = "PLACE",
    };

    private readonly Option<string?> _run = new("--run") { Description = "The run's name on the cluster, the same for all its workers.", HelpName = "NAME" };

    private readonly Option<int> _workers = new("--workers")
    {
        Description = "The workers that the run is planned for.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.WorkerCount,
    };

    private readonly Option<int?> _round = new("--round")
    {
        Description = "About how many steps a worker takes before the workers exchange the change of their weights; 500 without it, or a twentieth of the run.",
        HelpName = "N",
    };

    private readonly Option<double> _outerRate = new("--outer-rate")
    {
        Description = "The learning rate with which the mean of the workers' changes changes the shared weights.",
        HelpName = "RATE",
        DefaultValueFactory = _ => Defaults.OuterLearningRate,
    };

    private readonly Option<double> _outerMomentum = new("--outer-momentum")
    {
        Description = "The Nesterov momentum of these changes, from 0 to below 1.",
        HelpName = "PART",
        DefaultValueFactory = _ => Defaults.OuterMomentum,
    };

    private readonly Option<DifferenceFormat> _format = new("--difference-format")
    {
        Description = "How changes of weights travel: quantized, about 4 bits per weight, or bfloat16.",
        HelpName = "NAME",
        DefaultValueFactory = _ => Defaults.Format,
    };

    private readonly Option<bool> _ownPart = new("--own-part") { Description = "Each worker is given its own part of the texts, and not those of all." };

    private readonly Option<double> _wait = new("--start-wait")
    {
        Description = "Seconds after which the run begins with fewer workers.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.StartWait.TotalSeconds,
    };

    private readonly Option<double> _timeout = new("--worker-timeout")
    {
        Description = "Seconds of silence after which the run goes on without a worker.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.WorkerTimeout.TotalSeconds,
    };

    private Option[] OfRun => [_run, _workers, _round, _outerRate, _outerMomentum, _format, _ownPart, _wait, _timeout];

    public void AddTo(Command command)
    {
        command.Add(_cluster);
        foreach (Option option in OfRun)
            command.Add(option);
    }

    /// <summary>Gives what a command line asks for; <see langword="null"/> for training alone.</summary>
    public ClusterTraining? Read(ParseResult parsed, LeapLanguageModelTrainer.Options options)
    {
        if (parsed.GetValue(_cluster) is not string place)
        {
            if (OfRun.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is Option without)
                throw new UsageException($"{without.Name} goes with --cluster, which is not given.");
            return null;
        }

        return new ClusterTraining(place, new ClusterTrainingOptions
        {
            RunName = parsed.GetValue(_run) is { Length: > 0 } name ? name : throw new UsageException("--cluster needs the run's name: --run NAME."),
            Trainer = options,
            WorkerCount = parsed.GetValue(_workers),
            StepsPerRound = parsed.GetValue(_round),
            OuterLearningRate = parsed.GetValue(_outerRate),
            OuterMomentum = parsed.GetValue(_outerMomentum),
            Format = parsed.GetValue(_format),
            HasOwnPart = parsed.GetValue(_ownPart),
            StartWait = TimeSpan.FromSeconds(parsed.GetValue(_wait)),
            WorkerTimeout = TimeSpan.FromSeconds(parsed.GetValue(_timeout)),
        });
    }
}

/// <summary>Training as a worker of a cluster.</summary>
/// <param name="place">Where the cluster is.</param>
/// <param name="options">The run's options.</param>
internal sealed class ClusterTraining(string place, ClusterTrainingOptions options)
{
    /// <summary>Gets what went between this worker and the cluster, and how long it waited.</summary>
    public ClusterTraffic Traffic { get; } = new();

    /// <summary>Trains the model.</summary>
    public LeapLanguageModelTransformer Train(MLContext context, IDataView data, IDataView? validation, Action<string> tell)
    {
        options.Validate();
        CancellationToken cancellationToken = options.Trainer.CancellationToken;
        using var log = new Teller(tell);
        using MeterListener listener = Traffic.Listen();
        using IHost host = ClusterAddress.ConnectAsync(place, log, cancellationToken).GetAwaiter().GetResult();
        LeapCluster cluster = context.Leap().Cluster(host.Services.GetRequiredService<IClusterClient>());
        LeapLanguageModelTransformer model = cluster.TrainAsync(options, data, validation, cancellationToken).GetAwaiter().GetResult();
        host.StopAsync(CancellationToken.None).GetAwaiter().GetResult();
        return model;
    }

    // What the client tells goes where the training's own messages go.
    private sealed class Teller(Action<string> tell) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            tell(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}

/// <summary>What goes between a worker and its cluster, as the library's meter tells it.</summary>
internal sealed class ClusterTraffic
{
    private const string Meter = "Microsoft.ML.Leap.Orleans";

    /// <summary>Gets the bytes of the changes of weights that the worker sent after its rounds.</summary>
    public long SentChangeBytes { get; private set; }

    /// <summary>Gets all bytes that it sent: of a plan and of first weights, too.</summary>
    public long SentBytes { get; private set; }

    public long ReceivedBytes { get; private set; }

    /// <summary>Gets the time between rounds in which the worker did not train.</summary>
    public double WaitingSeconds { get; private set; }

    /// <summary>Counts until the listener is disposed. The worker's thread alone measures.</summary>
    public MeterListener Listen()
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == Meter)
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (instrument.Name == "leap.cluster.worker.sent")
            {
                SentBytes += value;
                SentChangeBytes += tags.Contains(new("kind", "Difference")) ? value : 0;
            }
            else if (instrument.Name == "leap.cluster.worker.received")
            {
                ReceivedBytes += value;
            }
        });
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) =>
            WaitingSeconds += instrument.Name == "leap.cluster.worker.waiting" ? value : 0);
        listener.Start();
        return listener;
    }
}
