using System.Globalization;

namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>Silos and workers as processes, and a folder with the texts that the workers train on.</summary>
internal sealed class ProcessCluster : IDisposable
{
    /// <summary>The most that the loss of a run may differ from that of a run that nothing disturbed, in nats per token.</summary>
    /// <remarks>The texts are sentences of one form with names and numbers in it, so that a tiny network comes down to about what cannot be foretold, 0.33 nats, well
    /// before its last step, whatever happens to one of its two workers: a round that is lost costs much less than the tolerance.</remarks>
    public const double Tolerance = 0.03;

    public const int RoundCount = 10;

    private const int StepsPerRound = 28;
    private const int HeldOutCount = 100;

    private static readonly string[] Texts = MakeTexts(700);

    private readonly TemporaryFolder _folder = new();
    private readonly List<LeapProcess> _processes = [];

    public ProcessCluster()
    {
        File.WriteAllLines(PathOf("corpus.txt"), Texts[HeldOutCount..]);
        File.WriteAllLines(PathOf("held-out.txt"), Texts[..HeldOutCount]);
    }

    public string PathOf(string name) => Path.Combine(_folder.Path, name);

    /// <summary>Starts a silo, and waits until it answers.</summary>
    /// <param name="arguments">More of the command line.</param>
    /// <returns>The silo, and where workers find it.</returns>
    public async Task<(LeapProcess Silo, string Place)> StartSiloAsync(params string[] arguments)
    {
        string gateway = Text(LocalCluster.FreePort());
        LeapProcess silo = Add(LeapProcess.Leap(["silo", "--port", Text(LocalCluster.FreePort()), "--gateway", gateway, .. arguments]));
        await silo.WaitAsync(() => silo.Output.Contains("The silo answers", StringComparison.Ordinal), "its start");
        return (silo, $"127.0.0.1:{gateway}");
    }

    /// <summary>Starts a worker of a run of two.</summary>
    /// <param name="place">Where the cluster is.</param>
    /// <param name="run">The run's name.</param>
    /// <param name="model">The name of the model's file, without its ending.</param>
    /// <param name="arguments">More of the command line.</param>
    public LeapProcess StartWorker(string place, string run, string model, params string[] arguments) =>
        StartWorkerOf(AppContext.BaseDirectory, place, run, model, arguments);

    /// <summary>Starts a worker of a run of two, with the <c>leap</c> of a folder.</summary>
    public LeapProcess StartWorkerOf(string tool, string place, string run, string model, params string[] arguments) => Add(LeapProcess.LeapOf(
        tool,
    [
        "train", PathOf("corpus.txt"), "-o", PathOf($"{model}.zip"), "--validation", PathOf("held-out.txt"), "--tokenizer", "bytes", "--layers", "1", "--hidden", "32",
        "--heads", "2", "--context", "64", "--batch", "8", "--steps", Text(RoundCount * StepsPerRound), "--round", Text(StepsPerRound), "--rate", "5e-3", "--memory", "0",
        "--device", "cpu", "--cluster", place, "--run", run, .. arguments.Contains("--worker-timeout") ? arguments : ["--worker-timeout", "5", .. arguments],
    ]));

    /// <summary>Measures a model's loss on the texts that are set aside, in nats per token.</summary>
    public double LossOf(string model)
    {
        using LeapLanguageModel loaded = LeapLanguageModel.Load(PathOf($"{model}.zip"));
        LanguageModelMetrics metrics = loaded.Evaluate(Texts[..HeldOutCount]);
        return -metrics.LogLikelihood / metrics.TokenCount;
    }

    /// <summary>Requires two models of one network.</summary>
    public void RequireEqual(string one, string other)
    {
        using LeapLanguageModel first = LeapLanguageModel.Load(PathOf($"{one}.zip"));
        using LeapLanguageModel second = LeapLanguageModel.Load(PathOf($"{other}.zip"));
        foreach ((string name, float[] weights) in first.GetParts().Weights)
            CollectionAssert.AreEqual(weights, second.GetParts().Weights[name], name);
    }

    public LeapProcess Add(LeapProcess process)
    {
        _processes.Add(process);
        return process;
    }

    public void Dispose()
    {
        foreach (LeapProcess process in _processes)
            process.Dispose();
        _folder.Dispose();
    }

    public static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string[] MakeTexts(int count)
    {
        string[] names = ["Anna", "Boris", "Clara", "David", "Elena", "Fritz", "Greta", "Hans", "Ida", "Jonas"];
        string[] items = ["books", "lamps", "chairs", "pens", "apples", "tables", "shirts", "cups"];
        string[] states = ["is on its way", "was delayed by the snow", "has been delivered", "waits for payment", "was sent back"];
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(i =>
            $"Order {1000 + i * 37 % 9000} of {Draw(names)}: {random.Next(2, 10)} {Draw(items)}, which {Draw(states)}.")];

        string Draw(string[] choice) => choice[random.Next(choice.Length)];
    }
}
