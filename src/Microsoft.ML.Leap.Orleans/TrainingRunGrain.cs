using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap;

/// <summary>Holds a run: its members, its round, and the shared weights, which it keeps in storage.</summary>
/// <remarks>A round ends when every member that lives has sent its difference, or some time after a quorum has.</remarks>
internal sealed partial class TrainingRunGrain(
    [PersistentState("run", LeapSiloBuilderExtensions.StorageName)] IPersistentState<TrainingRunState> storage, TimeProvider clock,
    ILogger<TrainingRunGrain> logger) : Grain, ITrainingRun
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(0.5);

    private readonly Dictionary<Guid, Worker> _workers = [];
    private readonly Dictionary<Guid, Newcomer> _newcomers = [];
    private ChunkCollector _plan = new();
    private ChunkCollector _weights = new();
    private Guid? _planner;
    private ulong _weightSum;
    private DateTimeOffset? _quorumSince;
    private DateTimeOffset _plannedSince;
    private DateTimeOffset _roundSince;
    private int _lateDifferences;

    private TrainingRunState State => storage.State;

    private string Name => this.GetPrimaryKeyString();

    /// <summary>The members of the stored round are taken to live until they are silent for too long.</summary>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset now = clock.GetUtcNow();
        foreach ((int rank, Guid id) in State.Members)
            _workers[id] = new Worker(id, rank) { LastSeen = now, IsMember = true };
        _plannedSince = _roundSince = now;
        _weightSum = State.WeightSum;
        this.RegisterGrainTimer(Advance, new GrainTimerCreationOptions(Tick, Tick));
        return Task.CompletedTask;
    }

    public async Task<JoinReply> Join(JoinRequest request)
    {
        if (State.Terms is null && !await Save(State with { Terms = request.Terms }))
            throw new OrleansException($"The run {Name} cannot be stored now.");
        if (State.Terms!.FindFault(request.Terms) is string fault)
            return new JoinReply(null, fault);

        DateTimeOffset now = clock.GetUtcNow();
        if (!_workers.ContainsKey(request.Worker))
        {
            DateTimeOffset since = _newcomers.TryGetValue(request.Worker, out Newcomer? asked) ? asked.Since : now;
            _newcomers[request.Worker] = new Newcomer(request.Worker, request.Rank, since, now);
            UpdateWorkers();
        }

        if (!_workers.TryGetValue(request.Worker, out Worker? worker))
            return new JoinReply(null, null);
        worker.LastSeen = now;
        return new JoinReply(worker.Rank, null);
    }

    public async Task<RunStatus> Report(WorkerReport report)
    {
        _workers.TryGetValue(report.Worker, out Worker? worker);
        if (worker is not null)
        {
            worker.LastSeen = clock.GetUtcNow();
            worker.Report = report;
        }

        await Advance(CancellationToken.None);
        bool mustPlan = false;
        if (State.Phase == RunPhase.Planning && worker is not null)
        {
            if (_planner is null || !_workers.ContainsKey(_planner.Value))
            {
                // What another one has sent of its plan does not fit this one's.
                _planner = worker.Id;
                ForgetUploads();
            }

            mustPlan = _planner == worker.Id;
        }

        return new RunStatus(
            State.Phase, State.Round, worker is not null, mustPlan, worker?.IsMember == true, worker?.Difference is not null, State.Steps, _weightSum);
    }

    public async Task<Receipt> Send(Guid worker, Chunk chunk)
    {
        if (!_workers.TryGetValue(worker, out Worker? sender))
            return Receipt.NotWanted;
        sender.LastSeen = clock.GetUtcNow();
        if (chunk.Kind == BlobKind.Difference)
            return await TakeDifference(sender, chunk);
        if (State.Phase != RunPhase.Planning || worker != _planner || chunk.Kind is not (BlobKind.Plan or BlobKind.Weights))
            return Receipt.NotWanted;
        if (!(chunk.Kind == BlobKind.Plan ? _plan : _weights).TryAdd(chunk))
            return Receipt.Damaged;
        if (_plan.IsComplete && _weights.IsComplete)
        {
            byte[] plan = _plan.ToArray();
            var steps = RoundSteps.Deal(SharedPlan.Parse(plan).StepCount, State.Terms!.Rules.StepsPerRound);
            OuterWeights weights = OuterWeights.Create(TrainingRunState.ToFloats(_weights.ToArray()));
            ForgetUploads();
            await Save(State.With(weights, change: []) with { Plan = plan, Steps = steps, Phase = RunPhase.Waiting });
            _plannedSince = clock.GetUtcNow();
            LogPlanned(Name, steps.Rounds, steps.PerRound, weights.Weights.Length);
        }

        return Receipt.Taken;
    }

    public Task<Chunk?> Get(BlobKind kind, int round, int index)
    {
        byte[] blob = kind switch
        {
            BlobKind.Plan => State.Plan,
            BlobKind.Weights when round == State.Round => State.Weights,
            BlobKind.Change when round == State.Round => State.Change,
            _ => [],
        };
        bool isThere = blob.Length > 0 && index >= 0 && index < Chunk.CountOf(blob.Length);
        return Task.FromResult(isThere ? Chunk.Cut(kind, round, blob, index) : null);
    }

    public async Task Leave(WorkerReport report)
    {
        if (!_workers.Remove(report.Worker, out Worker? left))
            return;
        LogLeft(Name, left.Rank);
        if (State.Phase == RunPhase.Over && report.ValidationLoss is double loss && loss != State.ValidationLoss)
            await Save(State with { ValidationLoss = loss });
    }

    public Task<ClusterProgress> GetProgress()
    {
        UpdateWorkers();
        return Task.FromResult(new ClusterProgress(
            State.Phase, State.Round, State.Steps.Rounds, _workers.Count, _workers.Values.Sum(worker => worker.Report?.TokensPerSecond ?? 0),
            _workers.Values.Average(worker => worker.Report?.TrainingLoss), MeanValidationLoss() ?? State.ValidationLoss, _lateDifferences));
    }

    public async Task Delete()
    {
        await storage.ClearStateAsync();
        DeactivateOnIdle();
    }

    private double? MeanValidationLoss() => _workers.Values.Average(worker => worker.Report?.ValidationLoss);

    private void ForgetUploads()
    {
        _plan = new ChunkCollector();
        _weights = new ChunkCollector();
    }

    private async Task<Receipt> TakeDifference(Worker sender, Chunk chunk)
    {
        if (!sender.IsMember || State.Phase != RunPhase.Training || chunk.Round != State.Round)
        {
            // Its round has counted it when it ended.
            if (chunk.Index == 0)
                LogLate(Name, sender.Rank, chunk.Round, State.Round);
            return Receipt.NotWanted;
        }

        if (sender.Difference is not null)
            return Receipt.Taken;
        if (!sender.Upload.TryAdd(chunk))
            return Receipt.Damaged;
        if (sender.Upload.IsComplete)
        {
            byte[] bytes = sender.Upload.ToArray();
            sender.Upload = new ChunkCollector();
            try
            {
                sender.Difference = WeightDifference.Decode(bytes, State.Weights.Length / sizeof(float));
            }
            catch (FormatException e)
            {
                LogDamaged(Name, sender.Rank, e.Message);
                return Receipt.Damaged;
            }

            await Advance(CancellationToken.None);
        }

        return Receipt.Taken;
    }

    // Opens the first round, or ends the one that runs, when it is time.
    private async Task Advance(CancellationToken cancellationToken)
    {
        if (State.Terms is null)
            return;
        RunRules rules = State.Terms.Rules;
        UpdateWorkers();
        DateTimeOffset now = clock.GetUtcNow();
        if (State.Phase == RunPhase.Waiting && _workers.Count > 0 && (_workers.Count >= rules.WorkerCount || now - _plannedSince >= rules.StartWait))
            await Open(State with { Phase = RunPhase.Training });
        if (State.Phase != RunPhase.Training)
            return;

        List<Worker> members = [.. _workers.Values.Where(worker => worker.IsMember).OrderBy(worker => worker.Rank)];
        if (members.Count == 0)
        {
            // All went. Those who came since then begin the round anew.
            if (_workers.Count > 0)
                await Open(State);
            return;
        }

        List<Worker> ready = [.. members.Where(member => member.Difference is not null)];
        if (ready.Count < rules.Quorum * State.Members.Count)
            _quorumSince = null;
        else
            _quorumSince ??= now;
        if (ready.Count == members.Count || (_quorumSince is DateTimeOffset since && now - since >= rules.StragglerWait))
            await Close(rules, members, ready);
    }

    private async Task Close(RunRules rules, List<Worker> members, List<Worker> ready)
    {
        var optimizer = new OuterOptimizer(rules.OuterLearningRate, rules.OuterMomentum, rules.Format);
        (OuterWeights weights, byte[] change) = optimizer.Step(State.GetOuterWeights(), [.. ready.Select(worker => worker.Difference!)]);
        int round = State.Round + 1;
        TrainingRunState after = State.With(weights, change) with
        {
            Round = round,
            Phase = round == State.Steps.Rounds ? RunPhase.Over : RunPhase.Training,
            ValidationLoss = MeanValidationLoss() ?? State.ValidationLoss,
        };
        TimeSpan duration = clock.GetUtcNow() - _roundSince;
        if (!await Open(after))
            return;
        foreach (Worker late in members.Except(ready))
        {
            _lateDifferences++;
            ClusterMetrics.CountLateDifference(Name);
            LogLeftOut(Name, round, late.Rank);
        }

        LogRound(Name, round, State.Steps.Rounds, ready.Count, members.Count, duration.TotalSeconds);
        ClusterMetrics.CountRound(Name, duration, ready.Count, _workers.Values.Sum(worker => worker.Report?.TokensPerSecond ?? 0), State.ValidationLoss);
    }

    // All workers that live are members of a round from its beginning.
    private async Task<bool> Open(TrainingRunState state)
    {
        bool isSaved = await Save(state with { Members = new(_workers.Values.ToDictionary(worker => worker.Rank, worker => worker.Id)) });
        if (!isSaved)
            return false;
        foreach (Worker worker in _workers.Values)
        {
            worker.IsMember = true;
            worker.Difference = null;
            worker.Upload = new ChunkCollector();
        }

        _quorumSince = null;
        _roundSince = clock.GetUtcNow();
        return true;
    }

    // Who waits for the place of one that is dropped has it at once, and is a member of the round that opens then.
    private void UpdateWorkers()
    {
        if (State.Terms is null)
            return;
        DropSilent(clock.GetUtcNow() - State.Terms.Rules.WorkerTimeout);
        foreach (Newcomer newcomer in _newcomers.Values.OrderBy(newcomer => newcomer.Since).ToArray())
        {
            // A worker that takes the place of one that died comes before that is known: the rank, and with it the part of the rows, is free only when every
            // other worker has been heard of since, or is silent for too long.
            if (State.Phase == RunPhase.Training && _workers.Values.Any(other => other.LastSeen < newcomer.Since))
                continue;
            _newcomers.Remove(newcomer.Id);
            HashSet<int> taken = [.. _workers.Values.Select(other => other.Rank)];
            int rank = newcomer.WantedRank is int wanted && !taken.Contains(wanted) ? wanted : Enumerable.Range(0, int.MaxValue).First(free => !taken.Contains(free));
            _workers[newcomer.Id] = new Worker(newcomer.Id, rank) { LastSeen = newcomer.LastSeen };
            LogJoined(Name, rank);
        }
    }

    private void DropSilent(DateTimeOffset limit)
    {
        // One that has sent its difference has done its part of the round, whether it lives or not.
        foreach (Worker worker in _workers.Values.Where(worker => worker.LastSeen < limit && worker.Difference is null).ToArray())
        {
            _workers.Remove(worker.Id);
            LogSilent(Name, worker.Rank, State.Terms!.Rules.WorkerTimeout.TotalSeconds);
        }

        foreach (Newcomer newcomer in _newcomers.Values.Where(newcomer => newcomer.LastSeen < limit).ToArray())
            _newcomers.Remove(newcomer.Id);
    }

    // The state changes when it is stored, or not at all; the timer tries again.
    private async Task<bool> Save(TrainingRunState state)
    {
        TrainingRunState before = State;
        DateTimeOffset began = clock.GetUtcNow();
        storage.State = state;
        try
        {
            await storage.WriteStateAsync();
            _weightSum = state.WeightSum;
            return true;
        }
        catch (Exception e)
        {
            storage.State = before;
            LogNotStored(Name, e.Message);
            if (e is Orleans.Storage.InconsistentStateException)
            {
                // Another silo has taken the run over, or the storage has lost it: what is stored counts.
                DeactivateOnIdle();
            }

            return false;
        }
        finally
        {
            // Meanwhile the run could hear nobody.
            TimeSpan deaf = clock.GetUtcNow() - began;
            foreach (Worker worker in _workers.Values)
                worker.LastSeen += deaf;
        }
    }

    [LoggerMessage(LogLevel.Information, "Run {Run}: a worker joined, with rank {Rank}.")]
    private partial void LogJoined(string run, int rank);

    [LoggerMessage(LogLevel.Information, "Run {Run}: the worker of rank {Rank} left.")]
    private partial void LogLeft(string run, int rank);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: nothing was heard of the worker of rank {Rank} for {Seconds} s; the run goes on without it.")]
    private partial void LogSilent(string run, int rank, double seconds);

    [LoggerMessage(LogLevel.Information, "Run {Run}: {Rounds} rounds of {Steps} steps, {Weights} weights.")]
    private partial void LogPlanned(string run, int rounds, int steps, int weights);

    [LoggerMessage(LogLevel.Information, "Run {Run}: round {Round} of {Rounds} ended after {Seconds:0.0} s with the differences of {Count} of {Members} workers.")]
    private partial void LogRound(string run, int round, int rounds, int count, int members, double seconds);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: round {Round} ended without the difference of rank {Rank}, which is too slow.")]
    private partial void LogLeftOut(string run, int round, int rank);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: the difference of rank {Rank} for round {Late} came in round {Round}, and is left out.")]
    private partial void LogLate(string run, int rank, int late, int round);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: the difference of rank {Rank} is damaged, and asked for again: {Reason}")]
    private partial void LogDamaged(string run, int rank, string reason);

    [LoggerMessage(LogLevel.Warning, "Run {Run}: the state could not be stored, which is tried again: {Reason}")]
    private partial void LogNotStored(string run, string reason);

    // A worker that asks to join, and has no place yet.
    private sealed record Newcomer(Guid Id, int? WantedRank, DateTimeOffset Since, DateTimeOffset LastSeen);

    private sealed class Worker(Guid id, int rank)
    {
        public Guid Id { get; } = id;

        public int Rank { get; } = rank;

        public DateTimeOffset LastSeen { get; set; }

        public bool IsMember { get; set; }

        public ChunkCollector Upload { get; set; } = new();

        public float[]? Difference { get; set; }

        public WorkerReport? Report { get; set; }
    }
}
