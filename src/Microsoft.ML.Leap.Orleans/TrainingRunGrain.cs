using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap;

/// <summary>Holds a run: its members, its round, and the shared weights, which it keeps in storage.</summary>
/// <remarks>A round ends when every member that lives has sent its difference, or some time after a quorum has.</remarks>
internal sealed partial class TrainingRunGrain(
    [PersistentState("run", LeapSiloBuilderExtensions.StorageName)] IPersistentState<TrainingRunState> storage, TimeProvider clock,
    ILogger<TrainingRunGrain> logger) : Grain, ITrainingRun
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(0.5);

    private readonly RunWorkers _workers = new(clock);
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

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _workers.Restore(State.Members);
        _plannedSince = _roundSince = clock.GetUtcNow();
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

        if (_workers.Find(request.Worker) is null)
        {
            _workers.Queue(request.Worker, request.Rank);
            UpdateWorkers();
        }

        return new JoinReply(_workers.Hear(request.Worker)?.Rank, null);
    }

    public async Task<RunStatus> Report(WorkerReport report)
    {
        RunWorker? worker = _workers.Hear(report.Worker);
        if (worker is not null)
            worker.Report = report;

        await Advance(CancellationToken.None);
        bool mustPlan = false;
        if (State.Phase == RunPhase.Planning && worker is not null)
        {
            if (_planner is null || _workers.Find(_planner.Value) is null)
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
        if (_workers.Hear(worker) is not RunWorker sender)
            return Receipt.NotWanted;
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
        if (_workers.Remove(report.Worker) is not RunWorker left)
            return;
        LogLeft(Name, left.Rank);
        if (State.Phase == RunPhase.Over && report.ValidationLoss is double loss && loss != State.ValidationLoss)
            await Save(State with { ValidationLoss = loss });
    }

    public Task<ClusterProgress> GetProgress()
    {
        UpdateWorkers();
        return Task.FromResult(new ClusterProgress(
            State.Phase, State.Round, State.Steps.Rounds, _workers.All.Count, SumTokensPerSecond(),
            _workers.All.Average(worker => worker.Report?.TrainingLoss), MeanValidationLoss() ?? State.ValidationLoss, _lateDifferences));
    }

    public async Task Delete()
    {
        await storage.ClearStateAsync();
        DeactivateOnIdle();
    }

    private double SumTokensPerSecond() => _workers.All.Sum(worker => worker.Report?.TokensPerSecond ?? 0);

    private double? MeanValidationLoss() => _workers.All.Average(worker => worker.Report?.ValidationLoss);

    private void ForgetUploads()
    {
        _plan = new ChunkCollector();
        _weights = new ChunkCollector();
    }

    private async Task<Receipt> TakeDifference(RunWorker sender, Chunk chunk)
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
        if (State.Phase == RunPhase.Waiting && _workers.All.Count > 0 && (_workers.All.Count >= rules.WorkerCount || now - _plannedSince >= rules.StartWait))
            await Open(State with { Phase = RunPhase.Training });
        if (State.Phase != RunPhase.Training)
            return;

        List<RunWorker> members = [.. _workers.All.Where(worker => worker.IsMember).OrderBy(worker => worker.Rank)];
        if (members.Count == 0)
        {
            // All went. Those who came since then begin the round anew.
            if (_workers.All.Count > 0)
                await Open(State);
            return;
        }

        List<RunWorker> ready = [.. members.Where(member => member.Difference is not null)];
        if (ready.Count < rules.Quorum * State.Members.Count)
            _quorumSince = null;
        else
            _quorumSince ??= now;
        if (ready.Count == members.Count || (_quorumSince is DateTimeOffset since && now - since >= rules.StragglerWait))
            await Close(rules, members, ready);
    }

    private async Task Close(RunRules rules, List<RunWorker> members, List<RunWorker> ready)
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
        foreach (RunWorker late in members.Except(ready))
        {
            _lateDifferences++;
            ClusterMetrics.CountLateDifference(Name);
            LogLeftOut(Name, round, late.Rank);
        }

        LogRound(Name, round, State.Steps.Rounds, ready.Count, members.Count, duration.TotalSeconds);
        ClusterMetrics.CountRound(Name, duration, ready.Count, SumTokensPerSecond(), State.ValidationLoss);
    }

    // All workers that live are members of a round from its beginning.
    private async Task<bool> Open(TrainingRunState state)
    {
        bool isSaved = await Save(state with { Members = new(_workers.All.ToDictionary(worker => worker.Rank, worker => worker.Id)) });
        if (!isSaved)
            return false;
        _workers.BeginRound();
        _quorumSince = null;
        _roundSince = clock.GetUtcNow();
        return true;
    }

    // Who waits for the place of one that is dropped has it at once, and is a member of the round that opens then.
    private void UpdateWorkers()
    {
        if (State.Terms is null)
            return;
        TimeSpan timeout = State.Terms.Rules.WorkerTimeout;
        foreach (RunWorker silent in _workers.DropSilent(timeout))
            LogSilent(Name, silent.Rank, timeout.TotalSeconds);
        foreach (RunWorker newcomer in _workers.Admit(isTraining: State.Phase == RunPhase.Training))
            LogJoined(Name, newcomer.Rank);
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
            _workers.Excuse(clock.GetUtcNow() - began);
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
}
