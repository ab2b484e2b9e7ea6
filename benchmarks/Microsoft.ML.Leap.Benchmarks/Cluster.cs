using System.CommandLine;
using System.Globalization;
using QuickStart;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "cluster": workers of <c>leap train --cluster</c> as processes, each on one core, against <c>leap train</c> on one core.</summary>
internal static class ClusterCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var train = new Option<FileInfo?>("--train") { Description = "Training texts, one per line; by default the quick start's corpus" };
        var validation = new Option<FileInfo?>("--validation") { Description = "Validation texts, one per line" };
        var workers = new Option<int[]>("--workers")
        {
            Description = "Workers that train together, for each run",
            DefaultValueFactory = _ => [1, 2, 4],
            AllowMultipleArgumentsPerToken = true,
        };
        workers.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int[]>() is { } counts && (counts.Length == 0 || counts.Min() < 1))
                result.AddError("--workers must be at least 1.");
        });
        Option<int?> round = PositiveOption.Checked(new Option<int?>("--round") { Description = "Steps of a round, about; by default the library's choice" });
        Option<int> timeout = PositiveOption.Create("--worker-timeout", "Seconds of silence after which a worker counts as dead", 30);
        var kills = new Option<bool>("--kills") { Description = "Whether a worker and a silo are killed, in runs of their own", DefaultValueFactory = _ => true };
        var folder = new Option<DirectoryInfo?>("--folder") { Description = "Keeps the runs' logs and results there, and goes on from them" };
        var picture = new Option<FileInfo?>("--picture") { Description = "File for a picture of the losses, as SVG" };
        var rest = new Argument<string[]>("arguments") { Description = "After --: more options of 'leap train', the same for all runs", Arity = ArgumentArity.ZeroOrMore };
        var command = new System.CommandLine.Command("cluster", "Measure training on a cluster of processes.")
        {
            json, train, validation, workers, round, timeout, kills, folder, picture, rest,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(train) is null != result.GetValue(validation) is null)
                result.AddError("--train and --validation go together.");
        });
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            DirectoryInfo? kept = arguments.GetValue(folder);
            DirectoryInfo place = kept ?? Directory.CreateTempSubdirectory("leap-");
            place.Create();
            try
            {
                var benchmark = new ClusterBenchmark(new ClusterBenchmarkSettings
                {
                    Folder = place.FullName,
                    TrainingFile = arguments.GetValue(train)?.FullName,
                    ValidationFile = arguments.GetValue(validation)?.FullName,
                    Workers = arguments.GetRequiredValue(workers),
                    StepsPerRound = arguments.GetValue(round),
                    WorkerTimeout = arguments.GetValue(timeout),
                    Kills = arguments.GetValue(kills),
                    Arguments = arguments.GetValue(rest) ?? [],
                });
                ClusterReport report = benchmark.Run();
                if (arguments.GetValue(picture) is FileInfo drawn)
                    File.WriteAllText(drawn.FullName, benchmark.Draw(report));
                if (arguments.GetValue(json) is FileInfo file)
                    JsonReport.Write(file.FullName, report);
                report.Write();
            }
            finally
            {
                if (kept is null)
                    place.Delete(recursive: true);
            }
        }));
        return command;
    }
}

/// <summary>What the verb "cluster" runs.</summary>
internal sealed record ClusterBenchmarkSettings
{
    public required string Folder { get; init; }

    public string? TrainingFile { get; init; }

    public string? ValidationFile { get; init; }

    public required IReadOnlyList<int> Workers { get; init; }

    public int? StepsPerRound { get; init; }

    public required int WorkerTimeout { get; init; }

    public required bool Kills { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }
}

/// <summary>Runs silos and workers as processes. A run whose result lies in the folder is not run again.</summary>
internal sealed class ClusterBenchmark(ClusterBenchmarkSettings settings)
{
    private const int ValidationTexts = 1000;
    private const int TrainingCharacters = 3_000_000;

    /// <summary>Runs all.</summary>
    public ClusterReport Run()
    {
        (string train, string validation) = PrepareTexts();
        string[] common = ["train", train, "--validation", validation, "--json", "--memory", "0", .. settings.Arguments];
        TrainResult single = Single(common);
        List<ClusterResult> results = [];
        foreach (int count in settings.Workers)
            results.Add(Summarize(Train($"{count}-workers", common, count, Disturbance.None), ClusterProcesses.ReadRounds(Path.Combine(settings.Folder, $"{count}-workers-silo0.log"))));

        double? killedWorker = null;
        double? killedSilo = null;
        if (settings.Kills)
        {
            killedWorker = Train("killed-worker", common, 2, Disturbance.KilledWorker)[0].ValidationLoss;
            if (FindInPath("redis-server") is null)
                AnsiConsole.MarkupLine("[yellow]A killed silo is left out: redis-server is not installed.[/]");
            else
                killedSilo = Train("killed-silo", common, 2, Disturbance.KilledSilo)[0].ValidationLoss;
        }

        // The result's step is that of the best model.
        double steps = ClusterPicture.Read(Path.Combine(settings.Folder, "single.log"), tokensPerStep: 1)[^1].Tokens;
        ClusterModel? model = results.FirstOrDefault(result => result.Workers == 2) is ClusterResult two ? ClusterModel.Create(two, settings.StepsPerRound ?? ClusterModel.UsualStepsPerRound) : null;
        return new ClusterReport(
            MachineFacts.Collect(), single.TokensPerSecond, single.ValidationLoss!.Value, single.Parameters, single.Tokens / steps, results, killedWorker, killedSilo, model?.Predictions);
    }

    /// <summary>Draws what <see cref="Run"/> ran.</summary>
    public string Draw(ClusterReport report)
    {
        List<(string, List<(double, double)>)> runs = [("one machine", ClusterPicture.Read(Path.Combine(settings.Folder, "single.log"), report.SingleTokensPerStep))];
        foreach (ClusterResult result in report.Workers)
            runs.Add((result.Workers == 1 ? "1 worker" : $"{result.Workers} workers", Read($"{result.Workers}-workers", result.TokensPerStep * result.Workers)));
        if (report.KilledWorkerLoss is not null)
            runs.Add(("2 workers, one killed", Read("killed-worker", report.SingleTokensPerStep * 2)));
        if (report.KilledSiloLoss is not null)
            runs.Add(("2 workers, silo killed", Read("killed-silo", report.SingleTokensPerStep * 2)));
        return ClusterPicture.Draw(runs);

        List<(double, double)> Read(string name, double tokensPerStep) => ClusterPicture.Read(Path.Combine(settings.Folder, $"{name}-0.log"), tokensPerStep);
    }

    private static ClusterResult Summarize(IReadOnlyList<TrainResult> workers, IReadOnlyList<double> rounds)
    {
        double tokens = workers.Sum(worker => (double)worker.Tokens);
        double seconds = workers.Max(worker => worker.Seconds);
        return new ClusterResult(
            workers.Count,
            tokens / seconds,
            rounds.Count > 1 ? tokens * (rounds.Count - 1) / rounds.Count / rounds.Skip(1).Sum() : null,
            workers[0].ValidationLoss!.Value,
            workers.Sum(worker => worker.Cluster!.SentChangeBytes) / tokens,
            workers.Sum(worker => worker.Cluster!.ReceivedBytes) / tokens,
            workers.Sum(worker => worker.Cluster!.SentBytes - worker.Cluster.SentChangeBytes),
            workers.Average(worker => worker.Cluster!.WaitingSeconds / worker.Seconds),
            workers[0].Parameters,
            tokens / workers.Sum(worker => (double)worker.Step));
    }

    private (string Train, string Validation) PrepareTexts()
    {
        if (settings.TrainingFile is not null)
            return (settings.TrainingFile, settings.ValidationFile!);
        string train = Path.Combine(settings.Folder, "train.txt");
        string validation = Path.Combine(settings.Folder, "validation.txt");
        string[] documents = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(documents);
        File.WriteAllLines(validation, documents[..ValidationTexts]);
        int characters = 0;
        File.WriteAllLines(train, documents[ValidationTexts..].TakeWhile(text => (characters += text.Length) <= TrainingCharacters));
        return (train, validation);
    }

    private TrainResult Single(string[] common)
    {
        string result = Path.Combine(settings.Folder, "single.json");
        if (!File.Exists(result))
        {
            AnsiConsole.WriteLine("one machine, one core");
            using ToolProcess process = Start("single", core: 0, [.. common, "-o", Path.Combine(settings.Folder, "single.zip")]);
            process.RequireSuccess();
            File.WriteAllText(result, process.Output);
        }

        return TrainResult.Read(result);
    }

    private List<TrainResult> Train(string name, string[] common, int count, Disturbance disturbance)
    {
        string[] files = [.. Enumerable.Range(0, count).Select(worker => Path.Combine(settings.Folder, $"{name}-{worker}.json"))];
        if (files.All(File.Exists))
            return [.. files.Select(TrainResult.Read)];
        AnsiConsole.WriteLine(name);
        using var cluster = new ClusterProcesses(settings.Folder, name, disturbance == Disturbance.KilledSilo ? 2 : 1, disturbance == Disturbance.KilledSilo);
        List<ToolProcess> workers = [.. Enumerable.Range(0, count).Select(worker => StartWorker(worker, worker))];
        try
        {
            if (disturbance != Disturbance.None)
            {
                // In the middle of the round after the first one: there is much left to lose.
                TimeSpan round = cluster.WaitForRound(1);
                Thread.Sleep(round / 2);
                if (disturbance == Disturbance.KilledSilo)
                {
                    cluster.KillHolder();
                }
                else
                {
                    // What watches over processes starts another one.
                    workers[^1].Kill();
                    workers[^1].Dispose();
                    workers[^1] = StartWorker(count - 1, count);
                }
            }

            foreach (ToolProcess worker in workers)
                worker.RequireSuccess();
            for (int worker = 0; worker < count; worker++)
                File.WriteAllText(files[worker], workers[worker].Output);
            return [.. files.Select(TrainResult.Read)];
        }
        finally
        {
            foreach (ToolProcess worker in workers)
                worker.Dispose();
        }

        ToolProcess StartWorker(int core, int number) => Start(
            $"{name}-{number}", core % Environment.ProcessorCount,
            [
                .. common, "-o", Path.Combine(settings.Folder, $"{name}-{number}.zip"), "--cluster", cluster.Address, "--run", name, "--workers", Text(count),
                "--worker-timeout", Text(settings.WorkerTimeout), .. settings.StepsPerRound is int steps ? ["--round", Text(steps)] : Array.Empty<string>(),
            ]);
    }

    private ToolProcess Start(string name, int core, string[] arguments) => new(Path.Combine(settings.Folder, $"{name}.log"), core, arguments);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Finds a program; <see langword="null"/> where it is not installed.</summary>
    public static string? FindInPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private enum Disturbance
    {
        None,
        KilledWorker,
        KilledSilo,
    }
}
