using System.Diagnostics;
using System.IO.Hashing;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap;

/// <summary>A worker of a run on a cluster, as its trainer sees it. The thread that trains waits in its calls; meanwhile a task tells the run that the worker
/// lives.</summary>
internal sealed partial class ClusterWorker : TrainingGroup, IAsyncDisposable
{
    private const int HeartbeatsPerTimeout = 6;
    private const int MostTriesOfChunk = 5;

    private readonly Guid _id = Guid.NewGuid();
    private readonly ITrainingRun _run;
    private readonly ClusterTrainingOptions _options;
    private readonly RunTerms _terms;
    private readonly ILogger _logger;
    private readonly CancellationToken _cancellationToken;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _heartbeats;
    private volatile WorkerReport _report;
    private byte[]? _ownPlan;
    private int? _rank;
    private int _round;
    private int _stepsPerRound;
    private long _tokens;

    // The shared weights as this worker has them, and what rounding left of its last difference.
    private float[] _outer = [];
    private float[] _rest = [];

    /// <param name="run">The run.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="logger">Is told what the cluster has the worker wait for.</param>
    public ClusterWorker(ITrainingRun run, ClusterTrainingOptions options, ILogger logger)
    {
        _run = run;
        _options = options;
        _terms = options.GetTerms();
        _logger = logger;
        _cancellationToken = options.Trainer.CancellationToken;
        _report = new WorkerReport(_id);
        _heartbeats = SendHeartbeats();
    }

    public override int PartCount => _options.WorkerCount;

    public override bool HasOwnPartAlone => _options.HasOwnPart;

    /// <summary>Takes note of a step, for the next report.</summary>
    public void Observe(TrainingProgress progress) => _report = _report with
    {
        TokensPerSecond = progress.TokensPerSecond,
        TrainingLoss = progress.Loss,
        ValidationLoss = progress.ValidationLoss ?? _report.ValidationLoss,
    };

    public override TrainingPlan? Join()
    {
        RunStatus status = WaitFor(status => status.Phase != RunPhase.Planning || status.MustPlan);
        return status.MustPlan ? null : SharedPlan.Parse(Fetch(BlobKind.Plan, round: 0) ?? throw Lost()).ToPlan();
    }

    // A hash that is the same on every machine; equal rows are of one part.
    public override bool Takes(ReadOnlySpan<char> row) =>
        XxHash3.HashToUInt64(MemoryMarshal.AsBytes(row)) % (ulong)PartCount == (ulong)(_rank!.Value % PartCount);

    public override SharedSteps Start(TrainingPlan plan, float[] weights)
    {
        long began = Stopwatch.GetTimestamp();
        _outer = (float[])weights.Clone();
        _rest = new float[weights.Length];
        RunStatus status = WaitFor(status =>
        {
            if (status.MustPlan)
            {
                _ownPlan = SharedPlan.Create(plan).ToBytes();
                Upload(BlobKind.Plan, 0, _ownPlan);
                Upload(BlobKind.Weights, 0, TrainingRunState.ToBytes(weights));
            }

            return IsTurn(status);
        });
        if (_ownPlan is not null && !_ownPlan.AsSpan().SequenceEqual(Fetch(BlobKind.Plan, round: 0)))
            throw new InvalidOperationException($"While this worker was silent, another one has planned the run {_options.RunName}. Start this worker again.");

        // The same seed gives the same first weights, on machines of one kind.
        _round = status.Round;
        if (ComputeSum(_outer) != status.WeightSum)
            Follow(status);
        _stepsPerRound = status.Steps.PerRound;
        _outer.CopyTo(weights, 0);
        LogRound(_options.RunName, _round, status.Steps.Rounds);
        ClusterMetrics.CountWaiting(_options.RunName, Stopwatch.GetElapsedTime(began));
        return new SharedSteps(_round * _stepsPerRound, status.Steps.Rounds * _stepsPerRound, _stepsPerRound);
    }

    public override long Exchange(long step, long tokens, float[] weights)
    {
        long began = Stopwatch.GetTimestamp();
        ClusterMetrics.CountTokens(_options.RunName, tokens - _tokens);
        _tokens = tokens;
        _report = _report with { Tokens = tokens };

        float[] difference = new float[weights.Length];
        TensorPrimitives.Subtract(_outer, weights, difference);
        TensorPrimitives.Add(difference, _rest, difference);
        byte[] encoded = WeightDifference.Encode(difference, _options.Format, out float[] rounded);
        TensorPrimitives.Subtract(difference, rounded, _rest);
        RunStatus status = WaitFor(status =>
        {
            if (status.Phase == RunPhase.Planning)
                throw Lost();
            if (status is { Phase: RunPhase.Training, IsMember: true, HasDifference: false } && status.Round == _round)
                Upload(BlobKind.Difference, _round, encoded);
            return IsTurn(status) && status.Round != _round;
        });
        Follow(status);
        _outer.CopyTo(weights, 0);
        ClusterMetrics.CountWaiting(_options.RunName, Stopwatch.GetElapsedTime(began));
        return (long)_round * _stepsPerRound;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _heartbeats;
        _end.Dispose();
        try
        {
            await _run.Leave(_report);
        }
        catch (Exception e)
        {
            // Then the run sees by itself that the worker is silent.
            LogUnreachable(_options.RunName, e.Message);
        }
    }

    // A worker that the run does not wait for in this round waits for the next.
    private static bool IsTurn(RunStatus status) => status.Phase == RunPhase.Over || status is { Phase: RunPhase.Training, IsMember: true };

    private InvalidOperationException Lost() => new($"The run {_options.RunName} is not there any more: it was deleted, or its storage has lost it.");

    /// <summary>Takes over the shared weights of the round that runs.</summary>
    private void Follow(RunStatus status)
    {
        if (status.Round != _round + 1 || Fetch(BlobKind.Change, status.Round) is not byte[] change || !TryApply(change, status.WeightSum))
        {
            byte[]? weights;
            while ((weights = Fetch(BlobKind.Weights, status.Round)) is null)
                status = WaitFor(IsTurn);
            _outer = TrainingRunState.ToFloats(weights);
            _rest.AsSpan().Clear();
        }

        _round = status.Round;
    }

    private static ulong ComputeSum(float[] weights) => XxHash3.HashToUInt64(MemoryMarshal.AsBytes<float>(weights));

    private bool TryApply(byte[] change, ulong sum)
    {
        float[] after = new float[_outer.Length];
        TensorPrimitives.Add(_outer, WeightDifference.Decode(change, after.Length), after);
        if (ComputeSum(after) != sum)
            return false;
        _outer = after;
        return true;
    }

    /// <summary>Asks until the run stands as wanted, and joins it where it does not know this worker.</summary>
    private RunStatus WaitFor(Predicate<RunStatus> isWanted)
    {
        for (Pause pause = new(_cancellationToken); ; pause.Wait())
        {
            RunStatus status = Call(() => _run.Report(_report));

            // The run may have given it a place since it asked.
            if (!status.IsKnown || _rank is null)
            {
                JoinReply reply = Call(() => _run.Join(new JoinRequest(_id, _rank, _terms)));
                if (reply.Refusal is not null)
                    throw new InvalidOperationException($"The run {_options.RunName} refuses this worker. {reply.Refusal}");
                if (reply.Rank is int rank)
                {
                    _rank ??= rank;
                    LogJoined(_options.RunName, rank);
                }
            }
            else if (isWanted(status))
            {
                return status;
            }
        }
    }

    private void Upload(BlobKind kind, int round, byte[] blob)
    {
        for (int index = 0; index < Chunk.CountOf(blob.Length); index++)
        {
            Chunk chunk = Chunk.Cut(kind, round, blob, index);
            Receipt receipt = Receipt.Damaged;
            for (int tries = 0; receipt == Receipt.Damaged; tries++)
            {
                if (tries == MostTriesOfChunk)
                    throw new InvalidOperationException($"The run {_options.RunName} got a part of this worker's {kind} damaged {tries} times.");
                receipt = Call(() => _run.Send(_id, chunk));
                ClusterMetrics.CountSent(_options.RunName, chunk);
            }

            // What it has against the blob, its status tells.
            if (receipt == Receipt.NotWanted)
                return;
        }
    }

    /// <summary>Gets a blob; <see langword="null"/> where the run has gone on to another round.</summary>
    private byte[]? Fetch(BlobKind kind, int round)
    {
        var collector = new ChunkCollector();
        int damaged = 0;
        for (int index = 0; !collector.IsComplete;)
        {
            if (Call(() => _run.Get(kind, round, index)) is not Chunk chunk)
                return null;
            ClusterMetrics.CountReceived(_options.RunName, chunk);
            if (collector.TryAdd(chunk))
                index++;
            else if (++damaged == MostTriesOfChunk)
                throw new InvalidOperationException($"A part of the {kind} of run {_options.RunName} came damaged {damaged} times.");
        }

        return collector.ToArray();
    }

    /// <summary>Calls the run, and calls again where the cluster does not answer: silos come and go.</summary>
    private T Call<T>(Func<Task<T>> call)
    {
        long began = Stopwatch.GetTimestamp();
        string? told = null;
        for (Pause pause = new(_cancellationToken); ; pause.Wait())
        {
            try
            {
                return call().WaitAsync(_cancellationToken).GetAwaiter().GetResult();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                if (told != e.Message)
                    LogUnreachable(_options.RunName, told = e.Message);
                if (Stopwatch.GetElapsedTime(began) > _options.Patience)
                    throw new InvalidOperationException($"The cluster did not answer for {_options.Patience}: {e.Message}", e);
            }
        }
    }

    private async Task SendHeartbeats()
    {
        using var timer = new PeriodicTimer(_options.WorkerTimeout / HeartbeatsPerTimeout);
        try
        {
            while (await timer.WaitForNextTickAsync(_end.Token))
            {
                try
                {
                    await _run.Report(_report).WaitAsync(_end.Token);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    LogUnreachable(_options.RunName, e.Message);
                }
            }
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            // The worker's end.
        }
    }

    [LoggerMessage(LogLevel.Information, "Run {Run}: this worker has rank {Rank}.")]
    private partial void LogJoined(string run, int rank);

    [LoggerMessage(LogLevel.Information, "Run {Run}: this worker goes on from round {Round} of {Rounds}.")]
    private partial void LogRound(string run, int round, int rounds);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: the cluster does not answer: {Reason}")]
    private partial void LogUnreachable(string run, string reason);

    // A tenth of the time that one has waited already.
    private readonly struct Pause(CancellationToken cancellationToken)
    {
        private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(20);
        private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

        private readonly long _began = Stopwatch.GetTimestamp();

        public void Wait()
        {
            TimeSpan pause = TimeSpan.FromTicks(Math.Clamp(Stopwatch.GetElapsedTime(_began).Ticks / 10, Shortest.Ticks, Longest.Ticks));
            if (cancellationToken.WaitHandle.WaitOne(pause))
                cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
