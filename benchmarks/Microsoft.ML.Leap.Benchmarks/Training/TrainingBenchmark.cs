namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Trains LEAP, its naive form and GPT-2 side by side, step by step in turn. Each has a process of its own, because allocator
/// settings and peak memory belong to a process.</summary>
internal sealed class TrainingBenchmark : IDisposable
{
    private static readonly string[] Contestants =
        [TrainingContestant.Leap, TrainingContestant.Gpt2, TrainingContestant.Naive, TrainingWorker.NaiveByItself];

    private readonly TrainingShape _shape;
    private readonly Dictionary<string, Worker> _workers;

    /// <param name="shape">The sizes.</param>
    /// <param name="argumentsOf">The arguments that start a process for a role.</param>
    public TrainingBenchmark(TrainingShape shape, Func<string, IEnumerable<string>> argumentsOf)
    {
        _shape = shape;
        string[] roles = [.. Contestants, TrainingWorker.Parts, TrainingWorker.Rates];
        _workers = roles.ToDictionary(role => role, role => new Worker(argumentsOf(role)));
    }

    /// <summary>Measures, after steps that do not count: .NET compiles a method for speed only once it has often run. The naive forms have
    /// no such methods, and only allocate in their first step.</summary>
    public TrainingReport Run(int warmups, int rounds)
    {
        for (int i = 0; i < warmups; i++)
        {
            Step(TrainingContestant.Leap);
            Step(TrainingContestant.Gpt2);
            MeasureParts();
        }

        Step(TrainingContestant.Naive);
        Step(TrainingWorker.NaiveByItself);
        TrainingRound[] measured = [.. Enumerable.Range(0, rounds).Select(_ => Round())];
        Dictionary<string, ContestantFacts> facts = Contestants.ToDictionary(
            name => name, name => _workers[name].Ask<ContestantFacts>(TrainingWorker.Facts));
        return TrainingReport.Of(MachineFacts.Collect(), _shape, measured, facts);
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers.Values)
            worker.Dispose();
    }

    private TrainingRound Round() => new(
        _workers[TrainingWorker.Rates].Ask<MatrixRate>(TrainingWorker.Step),
        Step(TrainingContestant.Leap),
        Step(TrainingContestant.Gpt2),
        Step(TrainingContestant.Naive),
        Step(TrainingWorker.NaiveByItself),
        MeasureParts());

    private PartTimes MeasureParts() => _workers[TrainingWorker.Parts].Ask<PartTimes>(TrainingWorker.Step);

    private double Step(string contestant) => _workers[contestant].Ask<double>(TrainingWorker.Step);
}
