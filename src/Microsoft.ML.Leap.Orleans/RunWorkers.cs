namespace Microsoft.ML.Leap;

/// <summary>The workers of a run: those that have a place, and those that wait for one.</summary>
internal sealed class RunWorkers(TimeProvider clock)
{
    private readonly Dictionary<Guid, RunWorker> _workers = [];
    private readonly Dictionary<Guid, Newcomer> _newcomers = [];

    /// <summary>Gets those that have a place, in no order.</summary>
    public IReadOnlyCollection<RunWorker> All => _workers.Values;

    /// <summary>Takes members of a stored round to live, until they are silent for too long.</summary>
    public void Restore(IReadOnlyDictionary<int, Guid> members)
    {
        foreach ((int rank, Guid id) in members)
            _workers[id] = new RunWorker(id, rank, clock.GetUtcNow()) { IsMember = true };
    }

    public RunWorker? Find(Guid id) => _workers.GetValueOrDefault(id);

    /// <summary>Takes note that a worker lives.</summary>
    /// <returns>The worker; <see langword="null"/> where it has no place.</returns>
    public RunWorker? Hear(Guid id)
    {
        RunWorker? worker = Find(id);
        if (worker is not null)
            worker.LastSeen = clock.GetUtcNow();
        return worker;
    }

    /// <summary>Lets a worker that has no place wait for one. It asks again while it waits.</summary>
    public void Queue(Guid id, int? wantedRank)
    {
        DateTimeOffset now = clock.GetUtcNow();
        DateTimeOffset since = _newcomers.TryGetValue(id, out Newcomer? asked) ? asked.Since : now;
        _newcomers[id] = new Newcomer(id, wantedRank, since, now);
    }

    public RunWorker? Remove(Guid id) => _workers.Remove(id, out RunWorker? worker) ? worker : null;

    /// <summary>Drops those that nothing was heard of.</summary>
    /// <returns>Those of them that had a place.</returns>
    public List<RunWorker> DropSilent(TimeSpan timeout)
    {
        DateTimeOffset limit = clock.GetUtcNow() - timeout;
        foreach (Newcomer newcomer in _newcomers.Values.Where(newcomer => newcomer.LastSeen < limit).ToArray())
            _newcomers.Remove(newcomer.Id);

        // One that has sent its difference has done its part of the round, whether it lives or not.
        List<RunWorker> silent = [.. _workers.Values.Where(worker => worker.LastSeen < limit && worker.Difference is null)];
        foreach (RunWorker worker in silent)
            _workers.Remove(worker.Id);
        return silent;
    }

    /// <summary>Gives places to those that wait.</summary>
    /// <param name="isTraining">Whether others train already, of which one may have died.</param>
    /// <returns>Those that have a place now.</returns>
    public List<RunWorker> Admit(bool isTraining)
    {
        List<RunWorker> admitted = [];
        foreach (Newcomer newcomer in _newcomers.Values.OrderBy(newcomer => newcomer.Since).ToArray())
        {
            // A worker that takes the place of one that died comes before that is known: the rank, and with it the part of the rows, is free only when every
            // other worker has been heard of since, or is dropped.
            if (isTraining && _workers.Values.Any(other => other.LastSeen < newcomer.Since))
                continue;
            _newcomers.Remove(newcomer.Id);
            HashSet<int> taken = [.. _workers.Values.Select(other => other.Rank)];
            int rank = newcomer.WantedRank is int wanted && !taken.Contains(wanted) ? wanted : Enumerable.Range(0, int.MaxValue).First(free => !taken.Contains(free));
            admitted.Add(_workers[newcomer.Id] = new RunWorker(newcomer.Id, rank, newcomer.LastSeen));
        }

        return admitted;
    }

    /// <summary>Makes all members of a round that begins.</summary>
    public void BeginRound()
    {
        foreach (RunWorker worker in _workers.Values)
        {
            worker.IsMember = true;
            worker.Difference = null;
            worker.Upload = new ChunkCollector();
        }
    }

    /// <summary>Does not count a time in which nobody could be heard.</summary>
    public void Excuse(TimeSpan time)
    {
        foreach (RunWorker worker in _workers.Values)
            worker.LastSeen += time;
    }

    private sealed record Newcomer(Guid Id, int? WantedRank, DateTimeOffset Since, DateTimeOffset LastSeen);
}

/// <summary>A worker that has a place in a run.</summary>
internal sealed class RunWorker(Guid id, int rank, DateTimeOffset lastSeen)
{
    public Guid Id { get; } = id;

    public int Rank { get; } = rank;

    public DateTimeOffset LastSeen { get; set; } = lastSeen;

    /// <summary>Gets or sets whether the round that runs waits for it.</summary>
    public bool IsMember { get; set; }

    /// <summary>Gets or sets what has come of its difference.</summary>
    public ChunkCollector Upload { get; set; } = new();

    /// <summary>Gets or sets its difference of this round.</summary>
    public float[]? Difference { get; set; }

    /// <summary>Gets or sets its last report.</summary>
    public WorkerReport? Report { get; set; }
}
