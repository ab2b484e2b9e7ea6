namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a process of the training benchmark does: one contestant, the parts of a step, or the machine's rates.</summary>
internal static class TrainingWorker
{
    /// <summary>The naive form in a process without the library's allocator settings, as its author's users had it.</summary>
    public const string NaiveByItself = "naive-by-itself";
    public const string Parts = "parts";
    public const string Rates = "rates";

    public const string Step = "step";
    public const string Facts = "facts";

    /// <summary>Answers commands until there are no more.</summary>
    public static void Serve(string role, TrainingShape shape)
    {
        // A setting of the process, made before torch is loaded.
        if (role == NaiveByItself)
            AppContext.SetSwitch(AllocatorSettings.SwitchName, true);
        NativeBackend.EnsureLoaded();
        switch (role)
        {
            case Parts:
                using (var parts = new TrainingParts(shape))
                    Worker.Serve(_ => parts.Measure());
                break;
            case Rates:
                using (var rates = new MatrixProductRates(shape.Config))
                    Worker.Serve(_ => rates.Measure());
                break;
            default:
                ServeContestant(role == NaiveByItself ? TrainingContestant.Naive : role, shape);
                break;
        }
    }

    private static void ServeContestant(string name, TrainingShape shape)
    {
        using TrainingContestant contestant = TrainingContestant.Create(name, shape);
        Worker.Serve(work => work == Step
            ? contestant.Step()
            : new ContestantFacts(AllocatorSettings.Apply(), PeakMemory.Megabytes));
    }
}
