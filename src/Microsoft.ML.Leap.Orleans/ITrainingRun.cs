namespace Microsoft.ML.Leap;

/// <summary>A training run on a cluster, by its name: what its workers agree upon, its round, and the shared weights.</summary>
/// <remarks>No call waits for other workers: a worker asks again. Every call may be repeated.</remarks>
[Alias("Microsoft.ML.Leap.ITrainingRun")]
internal interface ITrainingRun : IGrainWithStringKey
{
    /// <summary>Joins the run.</summary>
    [Alias("Join")]
    Task<JoinReply> Join(JoinRequest request);

    /// <summary>Tells that a worker lives, and how it goes; and asks how the run stands.</summary>
    [Alias("Report")]
    Task<RunStatus> Report(WorkerReport report);

    /// <summary>Sends a part of a blob.</summary>
    [Alias("Send")]
    Task<Receipt> Send(Guid worker, Chunk chunk);

    /// <summary>Gets a part of a blob; <see langword="null"/> where the run does not have it any more.</summary>
    [Alias("Get")]
    Task<Chunk?> Get(BlobKind kind, int round, int index);

    /// <summary>Takes a worker's leave, with its last report.</summary>
    [Alias("Leave")]
    Task Leave(WorkerReport report);

    /// <summary>Gets how the run stands, for those who do not train.</summary>
    [Alias("GetProgress")]
    Task<ClusterProgress> GetProgress();

    /// <summary>Forgets the run.</summary>
    [Alias("Delete")]
    Task Delete();
}

/// <summary>What all workers of a run must have in common.</summary>
/// <param name="Version">The version of the packages.</param>
/// <param name="Options">The trainer's options and those of the run, by name; never changed, though of a kind that storages in JSON read back.</param>
/// <param name="Rules">What the run itself goes by.</param>
[GenerateSerializer]
[Immutable]
internal sealed record RunTerms([property: Id(0)] string Version, [property: Id(1)] Dictionary<string, string> Options,
    [property: Id(2)] RunRules Rules)
{
    /// <summary>Finds what a worker has otherwise.</summary>
    /// <returns>A sentence; <see langword="null"/> where all agrees.</returns>
    public string? FindFault(RunTerms other)
    {
        if (other.Version != Version)
            return $"The run has version {Version} of Microsoft.ML.Leap, and this worker version {other.Version}. Use the same one.";
        foreach ((string name, string value) in Options)
        {
            string found = other.Options.GetValueOrDefault(name, "not set");
            if (found != value)
                return $"{name} of the run is {value}, and that of this worker {found}. Make them agree, or choose another RunName.";
        }

        return null;
    }
}

/// <summary>What a run goes by; <see cref="ClusterTrainingOptions"/> explains each.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record RunRules([property: Id(0)] int WorkerCount, [property: Id(1)] int? StepsPerRound, [property: Id(2)] double OuterLearningRate,
    [property: Id(3)] double OuterMomentum, [property: Id(4)] DifferenceFormat Format, [property: Id(5)] double Quorum, [property: Id(6)] TimeSpan StragglerWait,
    [property: Id(7)] TimeSpan WorkerTimeout, [property: Id(8)] TimeSpan StartWait);

/// <summary>A worker that wants to join, with the rank that it had, if it had one.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record JoinRequest([property: Id(0)] Guid Worker, [property: Id(1)] int? Rank, [property: Id(2)] RunTerms Terms);

/// <summary>A worker's rank, or why it may not join; neither where it must ask again.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record JoinReply([property: Id(0)] int? Rank, [property: Id(1)] string? Refusal);

/// <summary>How a worker goes. Tokens and seconds are those of its training so far; losses are nats per token.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record WorkerReport([property: Id(0)] Guid Worker, [property: Id(1)] long Tokens = 0, [property: Id(2)] double TokensPerSecond = 0,
    [property: Id(3)] double? TrainingLoss = null, [property: Id(4)] double? ValidationLoss = null);

/// <summary>How a run stands, for one worker.</summary>
/// <param name="Phase">Whether it has begun, or is over.</param>
/// <param name="Round">The round that runs; the number of rounds once it is over.</param>
/// <param name="IsKnown">Whether the run knows the worker; one that it does not know must join.</param>
/// <param name="MustPlan">Whether the worker is the one to decide what all agree upon.</param>
/// <param name="IsMember">Whether the run waits for the worker's difference in this round; a worker that came later waits for the next.</param>
/// <param name="HasDifference">Whether the worker's difference is there.</param>
/// <param name="Steps">The steps of each worker in a round, and the rounds; 0 before the start.</param>
/// <param name="WeightSum">A sum over the shared weights.</param>
[GenerateSerializer]
[Immutable]
internal sealed record RunStatus([property: Id(0)] RunPhase Phase, [property: Id(1)] int Round, [property: Id(2)] bool IsKnown, [property: Id(3)] bool MustPlan,
    [property: Id(4)] bool IsMember, [property: Id(5)] bool HasDifference, [property: Id(6)] RoundSteps Steps, [property: Id(7)] ulong WeightSum);

/// <summary>How the steps of each worker are dealt out to rounds.</summary>
[GenerateSerializer]
[Immutable]
internal readonly record struct RoundSteps([property: Id(0)] int PerRound, [property: Id(1)] int Rounds)
{
    private const int MostPerRound = 500;
    private const int LeastRounds = 20;

    /// <summary>Deals out steps, the same number to each round: a few more where they do not divide.</summary>
    /// <param name="count">The steps of each worker.</param>
    /// <param name="wanted">About how many a round should have; <see langword="null"/> for a choice by their number.</param>
    public static RoundSteps Deal(int count, int? wanted)
    {
        int steps = wanted ?? Math.Clamp(count / LeastRounds, 1, MostPerRound);
        int rounds = Math.Max(1, (int)Math.Round((double)count / steps));
        return new RoundSteps((count + rounds - 1) / rounds, rounds);
    }
}

/// <summary>Where a training run on a cluster stands.</summary>
public enum RunPhase
{
    /// <summary>Nothing is decided yet: no worker came, or the first one reads its texts.</summary>
    Planning,

    /// <summary>It waits for workers.</summary>
    Waiting,

    /// <summary>Its workers train.</summary>
    Training,

    /// <summary>It is over, and its weights are kept.</summary>
    Over,
}

/// <summary>What became of a chunk.</summary>
internal enum Receipt
{
    /// <summary>It is there.</summary>
    Taken,

    /// <summary>It came otherwise than it was sent; to be sent again.</summary>
    Damaged,

    /// <summary>The run does not want it, or not any more.</summary>
    NotWanted,
}

/// <summary>How a training run on a cluster stands. Immutable.</summary>
/// <param name="Phase">Whether it has begun, or is over.</param>
/// <param name="Round">The rounds that are done.</param>
/// <param name="RoundCount">The rounds of the run; 0 before its start.</param>
/// <param name="WorkerCount">The workers that have lately been heard of.</param>
/// <param name="TokensPerSecond">The training tokens of all workers per second, while they train.</param>
/// <param name="TrainingLoss">The mean of the workers' last training losses in nats per token; <see langword="null"/> for none.</param>
/// <param name="ValidationLoss">The mean of the workers' last validation losses in nats per token, and after the end that of the worker who left last; <see langword="null"/> for none.</param>
/// <param name="LateDifferences">The differences that came too late and were left out, since the silo took the run over.</param>
[GenerateSerializer]
[Immutable]
[Alias("Microsoft.ML.Leap.ClusterProgress")]
public sealed record ClusterProgress([property: Id(0)] RunPhase Phase, [property: Id(1)] int Round, [property: Id(2)] int RoundCount,
    [property: Id(3)] int WorkerCount, [property: Id(4)] double TokensPerSecond, [property: Id(5)] double? TrainingLoss, [property: Id(6)] double? ValidationLoss,
    [property: Id(7)] int LateDifferences);
