using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Leap;

/// <summary>How several workers train one model: <see cref="LeapCluster.TrainAsync"/>.</summary>
/// <remarks>All workers of a run must give the same, but for <see cref="Patience"/>, for the trainer's columns and its device.</remarks>
public sealed class ClusterTrainingOptions
{
    /// <summary>The run's name: workers that give the same one train one model.</summary>
    /// <value>Not empty.</value>
    public required string RunName;

    /// <summary>The trainer's options, as for one machine.</summary>
    /// <value>All at their defaults by default. <see cref="TrainingOptions.MaximumSteps"/> are the steps of each worker, and <see cref="TrainingOptions.Epochs"/> passes over all rows: each worker reads
    /// its part as often. A <see cref="TrainingOptions.LearningRate"/> that is left open is that of one machine times the fourth root of <see cref="WorkerCount"/>, at most twice it: the
    /// mean over workers has less noise. The run has checkpoints of its own, and an end that is the same for all, so that
    /// <see cref="TrainingOptions.CheckpointFolder"/>, <see cref="TrainingOptions.TimeBudget"/> and <see cref="TrainingOptions.EarlyStoppingPatience"/> must not be
    /// set; the validation loss is measured about as often as on one machine, at ends of rounds, and the last weights are the model's, as if <see cref="TrainingOptions.KeepBestModel"/> were
    /// <see langword="false"/>.</value>
    public LeapLanguageModelTrainer.Options Trainer = new();

    /// <summary>The workers that the run is planned for: the parts that the rows are dealt out in.</summary>
    /// <value>At least 1; 2 by default. The run begins when so many are there, or after <see cref="StartWait"/>. More may come, and some may go: a worker takes the part that has the
    /// number of its rank, modulo this number.</value>
    public int WorkerCount = 2;

    /// <summary>Whether each worker is given its own part of the rows.</summary>
    /// <value><see langword="false"/> by default: all are given the same rows, and each trains on those whose hash is of its part.</value>
    public bool HasOwnPart;

    /// <summary>About how many steps a worker takes before it exchanges the change of its weights with the others.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, for 500, or for a twentieth of the run's steps where that is fewer. The run's steps are dealt out evenly,
    /// so that a round may have some more or less.</value>
    public int? StepsPerRound;

    /// <summary>The learning rate with which the mean of the workers' changes changes the shared weights.</summary>
    /// <value>Over 0; 1 by default: the shared weights become the mean of the workers'. Douillard et al. (2023) take 0.7, with a momentum of 0.9, in runs of many more rounds.</value>
    public double OuterLearningRate = 1;

    /// <summary>The Nesterov momentum of these changes.</summary>
    /// <value>At least 0, the default, below 1.</value>
    public double OuterMomentum;

    /// <summary>How changes of weights travel.</summary>
    /// <value><see cref="DifferenceFormat.Quantized"/> by default.</value>
    public DifferenceFormat Format = DifferenceFormat.Quantized;

    /// <summary>The part of a round's workers that must have sent their changes before the others are waited for no longer than
    /// <see cref="StragglerWait"/>.</summary>
    /// <value>Over 0, at most 1; 0.5 by default. Without a quorum, the round waits as long as the others live.</value>
    public double Quorum = 0.5;

    /// <summary>How long a quorum waits for workers that live, but are slow.</summary>
    /// <value>At least zero; 2 minutes by default. What comes later is left out, and the worker goes on with the others.</value>
    public TimeSpan StragglerWait = TimeSpan.FromMinutes(2);

    /// <summary>How long a worker may be silent. After that the run goes on without it; when it comes back, it joins the next round.</summary>
    /// <value>Over zero; 30 seconds by default. A worker that lives tells of itself six times as often.</value>
    public TimeSpan WorkerTimeout = TimeSpan.FromSeconds(30);

    /// <summary>How long the run waits for its <see cref="WorkerCount"/> before it begins with fewer.</summary>
    /// <value>At least zero; 2 minutes by default.</value>
    public TimeSpan StartWait = TimeSpan.FromMinutes(2);

    /// <summary>How long a worker tries to reach the cluster before it gives up.</summary>
    /// <value>Over zero; 10 minutes by default.</value>
    public TimeSpan Patience = TimeSpan.FromMinutes(10);

    internal ClusterTrainingOptions Copy()
    {
        var copy = (ClusterTrainingOptions)MemberwiseClone();
        copy.Trainer = Trainer.Copy();
        return copy;
    }

    internal void Validate()
    {
        if (string.IsNullOrWhiteSpace(RunName))
            throw new ArgumentException("RunName must be a name, but it is empty.", nameof(RunName));
        ArgumentNullException.ThrowIfNull(Trainer, nameof(Trainer));
        Require(WorkerCount >= 1, nameof(WorkerCount), WorkerCount, "at least 1");
        Require(StepsPerRound is null or >= 1, nameof(StepsPerRound), StepsPerRound ?? 0, "at least 1");
        Require(OuterLearningRate > 0 && double.IsFinite(OuterLearningRate), nameof(OuterLearningRate), OuterLearningRate, "over 0 and finite");
        Require(OuterMomentum >= 0 && OuterMomentum < 1, nameof(OuterMomentum), OuterMomentum, "at least 0 and below 1");
        Require(Enum.IsDefined(Format), nameof(Format), Format, "a value of DifferenceFormat");
        Require(Quorum > 0 && Quorum <= 1, nameof(Quorum), Quorum, "over 0 and at most 1");
        Require(StragglerWait >= TimeSpan.Zero, nameof(StragglerWait), StragglerWait, "at least zero");
        Require(WorkerTimeout > TimeSpan.Zero, nameof(WorkerTimeout), WorkerTimeout, "over zero");
        Require(StartWait >= TimeSpan.Zero, nameof(StartWait), StartWait, "at least zero");
        Require(Patience > TimeSpan.Zero, nameof(Patience), Patience, "over zero");
        Refuse(Trainer.CheckpointFolder is not null, nameof(Trainer.CheckpointFolder));
        Refuse(Trainer.TimeBudget is not null, nameof(Trainer.TimeBudget));
        Refuse(Trainer.EarlyStoppingPatience is not null, nameof(Trainer.EarlyStoppingPatience));
    }

    internal RunTerms GetTerms()
    {
        IEnumerable<KeyValuePair<string, string>> own = typeof(ClusterTrainingOptions).GetFields()
            .Where(field => field.Name is not (nameof(RunName) or nameof(Trainer) or nameof(Patience)))
            .Select(field => new KeyValuePair<string, string>(field.Name, Convert.ToString(field.GetValue(this), CultureInfo.InvariantCulture) is { Length: > 0 } value ? value : "not set"));
        var rules = new RunRules(
            WorkerCount, StepsPerRound, OuterLearningRate, OuterMomentum, Format, Quorum, StragglerWait, WorkerTimeout, StartWait);
        string version = typeof(LeapCluster).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        IEnumerable<KeyValuePair<string, string>> all = Trainer.DescribeShared().Concat(own).OrderBy(option => option.Key, StringComparer.Ordinal);
        return new RunTerms(version, new Dictionary<string, string>(all), rules);
    }

    private static void Require(bool condition, string field, object value, string expected)
    {
        if (!condition)
            throw new ArgumentOutOfRangeException(field, value, $"{field} must be {expected}.");
    }

    private static void Refuse(bool isSet, string field)
    {
        if (isSet)
            throw new ArgumentException($"{field} must not be set on a cluster: a run there keeps its own state, and ends for all workers at once.", field);
    }
}
