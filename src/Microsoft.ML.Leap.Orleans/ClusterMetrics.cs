using System.Diagnostics.Metrics;

namespace Microsoft.ML.Leap;

/// <summary>What training on a cluster tells of itself, in the meter Microsoft.ML.Leap.Orleans; docs/scale-out.md lists it.</summary>
internal static class ClusterMetrics
{
    public const string MeterName = "Microsoft.ML.Leap.Orleans";

    private static readonly Meter _meter = new(MeterName);

    // Of the silo that holds a run.
    private static readonly Counter<long> _rounds = _meter.CreateCounter<long>("leap.cluster.rounds", "{round}", "Rounds that ended.");
    private static readonly Counter<long> _lateDifferences =
        _meter.CreateCounter<long>("leap.cluster.late_differences", "{difference}", "Differences that came too late.");
    private static readonly Histogram<double> _roundDuration =
        _meter.CreateHistogram<double>("leap.cluster.round.duration", "s", "From a round's beginning to its end.");
    private static readonly Gauge<int> _workers = _meter.CreateGauge<int>("leap.cluster.workers", "{worker}", "Workers whose differences the last round had.");
    private static readonly Gauge<double> _tokensPerSecond =
        _meter.CreateGauge<double>("leap.cluster.tokens_per_second", "{token}/s", "Training tokens of all workers per second.");
    private static readonly Gauge<double> _validationLoss =
        _meter.CreateGauge<double>("leap.cluster.validation_loss", "nat", "Mean of the workers' validation losses, per token.");

    // Of a worker.
    private static readonly Counter<long> _tokens = _meter.CreateCounter<long>("leap.cluster.worker.tokens", "{token}", "Tokens that the worker trained on.");
    private static readonly Counter<long> _sent = _meter.CreateCounter<long>("leap.cluster.worker.sent", "By", "Bytes of plans, weights and differences that the worker sent.");
    private static readonly Counter<long> _received =
        _meter.CreateCounter<long>("leap.cluster.worker.received", "By", "Bytes of plans, weights and changes that the worker received.");
    private static readonly Counter<double> _waiting =
        _meter.CreateCounter<double>("leap.cluster.worker.waiting", "s", "Time between rounds in which the worker did not train: transfers, and waiting for others.");

    public static void CountRound(string run, TimeSpan duration, int workers, double tokensPerSecond, double? validationLoss)
    {
        KeyValuePair<string, object?> tag = Tag(run);
        _rounds.Add(1, tag);
        _roundDuration.Record(duration.TotalSeconds, tag);
        _workers.Record(workers, tag);
        _tokensPerSecond.Record(tokensPerSecond, tag);
        if (validationLoss is double loss)
            _validationLoss.Record(loss, tag);
    }

    public static void CountLateDifference(string run) => _lateDifferences.Add(1, Tag(run));

    public static void CountTokens(string run, long tokens) => _tokens.Add(tokens, Tag(run));

    public static void CountSent(string run, Chunk chunk) => _sent.Add(chunk.Bytes.Length, Tag(run), Tag(chunk.Kind));

    public static void CountReceived(string run, Chunk chunk) => _received.Add(chunk.Bytes.Length, Tag(run), Tag(chunk.Kind));

    public static void CountWaiting(string run, TimeSpan time) => _waiting.Add(time.TotalSeconds, Tag(run));

    private static KeyValuePair<string, object?> Tag(string run) => new("run", run);

    private static KeyValuePair<string, object?> Tag(BlobKind kind) => new("kind", kind.ToString());
}
