namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class ClusterTrainingOptionsTests
{
    public static IEnumerable<(Action<ClusterTrainingOptions> Change, string Words)> Faults =>
    [
        (options => options.RunName = "", "RunName must be a name, but it is empty."),
        (options => options.RunName = " ", "RunName must be a name, but it is empty."),
        (options => options.WorkerCount = 0, "WorkerCount must be at least 1."),
        (options => options.StepsPerRound = 0, "StepsPerRound must be at least 1."),
        (options => options.OuterLearningRate = 0, "OuterLearningRate must be over 0 and finite."),
        (options => options.OuterLearningRate = double.NaN, "OuterLearningRate must be over 0 and finite."),
        (options => options.OuterLearningRate = double.PositiveInfinity, "OuterLearningRate must be over 0 and finite."),
        (options => options.OuterMomentum = -0.1, "OuterMomentum must be at least 0 and below 1."),
        (options => options.OuterMomentum = 1, "OuterMomentum must be at least 0 and below 1."),
        (options => options.OuterMomentum = double.NaN, "OuterMomentum must be at least 0 and below 1."),
        (options => options.Format = (DifferenceFormat)7, "Format must be a value of DifferenceFormat."),
        (options => options.Quorum = 0, "Quorum must be over 0 and at most 1."),
        (options => options.Quorum = 1.1, "Quorum must be over 0 and at most 1."),
        (options => options.StragglerWait = TimeSpan.FromSeconds(-1), "StragglerWait must be at least zero."),
        (options => options.WorkerTimeout = TimeSpan.Zero, "WorkerTimeout must be over zero."),
        (options => options.StartWait = TimeSpan.FromSeconds(-1), "StartWait must be at least zero."),
        (options => options.Patience = TimeSpan.Zero, "Patience must be over zero."),
        (options => options.Trainer.CheckpointFolder = "x", "CheckpointFolder must not be set on a cluster"),
        (options => options.Trainer.TimeBudget = TimeSpan.FromHours(1), "TimeBudget must not be set on a cluster"),
        (options => options.Trainer.EarlyStoppingPatience = 3, "EarlyStoppingPatience must not be set on a cluster"),
        (options => options.Trainer = null!, "Trainer"),
    ];

    [TestMethod]
    public void Validate_Defaults_AreValid() => Options().Validate();

    [TestMethod]
    [DynamicData(nameof(Faults))]
    public void Validate_Fault_ThrowsInWords(Action<ClusterTrainingOptions> change, string words)
    {
        ClusterTrainingOptions options = Options();
        change(options);

        ArgumentException exception = Assert.Throws<ArgumentException>(options.Validate);
        StringAssert.Contains(exception.Message, words);
    }

    // A new option is compared among workers, until this list says otherwise.
    [TestMethod]
    public void GetTerms_AllOptions_AreTermsButThoseOfOneWorker()
    {
        string[] left = [.. typeof(ClusterTrainingOptions).GetFields().Select(field => field.Name).Except(Options().GetTerms().Options.Keys)];

        CollectionAssert.AreEquivalent((string[])["RunName", "Trainer", "Patience"], left);
    }

    [TestMethod]
    public void FindFault_OtherOptions_NamesTheFirst()
    {
        RunTerms terms = Options().GetTerms();
        ClusterTrainingOptions other = Options();
        other.Trainer.LayerCount = 5;
        other.Quorum = 0.25;
        ClusterTrainingOptions own = Options();
        own.Patience = TimeSpan.FromSeconds(1);
        own.Trainer.TextColumnName = "Other";
        own.Trainer.Device = "cuda";
        own.Trainer.Seed = 9;

        Assert.IsNull(terms.FindFault(Options().GetTerms()));
        Assert.IsNull(terms.FindFault(own.GetTerms()));
        Assert.AreEqual(
            "LayerCount of the run is 2, and that of this worker 5. Make them agree, or choose another RunName.", terms.FindFault(other.GetTerms()));
        Assert.AreEqual(
            "LayerCount of the run is 5, and that of this worker 2. Make them agree, or choose another RunName.", other.GetTerms().FindFault(terms));
    }

    [TestMethod]
    public void FindFault_OptionThatIsLeftOpen_IsNotSet()
    {
        ClusterTrainingOptions open = Options();
        open.StepsPerRound = null;

        Assert.AreEqual(
            "StepsPerRound of the run is 4, and that of this worker not set. Make them agree, or choose another RunName.",
            Options().GetTerms().FindFault(open.GetTerms()));
    }

    [TestMethod]
    public void FindFault_OtherVersion_NamesBoth()
    {
        RunTerms terms = Options().GetTerms();

        string? fault = terms.FindFault(terms with { Version = "0.0.9" });

        Assert.AreEqual($"The run has version {terms.Version} of Microsoft.ML.Leap, and this worker version 0.0.9. Use the same one.", fault);
    }

    [TestMethod]
    public void Copy_ChangedLater_StaysAsItWas()
    {
        ClusterTrainingOptions options = Options();
        ClusterTrainingOptions copy = options.Copy();
        options.WorkerCount = 9;
        options.Trainer.LayerCount = 9;

        Assert.AreEqual(2, copy.WorkerCount);
        Assert.AreEqual(2, copy.Trainer.LayerCount);
    }

    [TestMethod]
    [DataRow(100, 50, 50, 2)]
    [DataRow(100, 30, 34, 3)]
    [DataRow(10, 100, 10, 1)]
    [DataRow(1, 1, 1, 1)]
    [DataRow(7, 2, 2, 4)]
    [DataRow(100_000, null, 500, 200)]
    [DataRow(1000, null, 50, 20)]
    [DataRow(3, null, 1, 3)]
    public void Deal_Steps_AreEvenAndEnough(int count, int? wanted, int perRound, int rounds)
    {
        var steps = RoundSteps.Deal(count, wanted);

        Assert.AreEqual(new RoundSteps(perRound, rounds), steps);
        Assert.IsGreaterThanOrEqualTo(count, steps.PerRound * steps.Rounds);
    }

    private static ClusterTrainingOptions Options() => new() { RunName = "run", Trainer = TinyModel.Options(), StepsPerRound = 4 };
}
