using System.Diagnostics;

namespace Microsoft.ML.Leap.Soak;

/// <summary>Processes that train or save and are killed at a moment drawn by chance: nothing is lost, nothing is half-written.</summary>
internal static class Kills
{
    private const string Program = "Microsoft.ML.Leap.Soak";

    /// <summary>Trains in a process that is killed and started again, until it ends by itself.</summary>
    /// <returns>What went wrong; empty for nothing.</returns>
    public static IReadOnlyList<string> TrainAndResume(int kills, Action<string> tell)
    {
        string folder = Directory.CreateTempSubdirectory("leap-soak-").FullName;
        string whole = Path.Combine(folder, "whole"), killed = Path.Combine(folder, "killed");
        RunToTheEnd("train", whole);
        var random = new Random(1);
        int done = 0;
        for (; done < kills && !File.Exists(Path.Combine(killed, "result")); done++)
        {
            // Each life adds a checkpoint or two, so that the run outlives its kills.
            string[] before = Checkpoints(killed);
            KillWhen(() => Checkpoints(killed).Except(before).Any(), "train", killed, TimeSpan.FromMilliseconds(random.Next(300)));
        }

        RunToTheEnd("train", killed);
        string expected = File.ReadAllText(Path.Combine(whole, "result")), actual = File.ReadAllText(Path.Combine(killed, "result"));
        Directory.Delete(folder, recursive: true);
        tell($"training: {done} kills, then {actual}; without kills {expected}");
        return expected == actual && done == kills ? [] : [$"a training that was killed {done} times ended with {actual}, one that was not with {expected}"];
    }

    /// <summary>Saves two models in turn over each other, in a process that is killed: what can be loaded is one of them, whole.</summary>
    /// <returns>What went wrong; empty for nothing.</returns>
    public static IReadOnlyList<string> Save(int kills, Action<string> tell)
    {
        string folder = Directory.CreateTempSubdirectory("leap-soak-").FullName;
        var random = new Random(2);
        List<string> faults = [];
        string[] known = [];
        int interrupted = 0;
        for (int i = 0; i < kills; i++)
        {
            DateTime before = File.GetLastWriteTimeUtc(Path.Combine(folder, "scores"));
            KillWhen(() => File.GetLastWriteTimeUtc(Path.Combine(folder, "scores")) > before, "save", folder, TimeSpan.FromMilliseconds(random.Next(500)));
            known = File.ReadAllLines(Path.Combine(folder, "scores"));
            if (Load(Path.Combine(folder, "model.zip")) is not string zip || !known.Contains(zip))
                faults.Add($"after kill {i} the zip is neither model");
            string? loaded = Load(Path.Combine(folder, "model"));
            interrupted += loaded is null ? 1 : 0;
            if (loaded is not null && !known.Contains(loaded))
                faults.Add($"after kill {i} the folder gives a score of neither model: {loaded}");
        }

        Directory.Delete(folder, recursive: true);
        tell($"saving: {kills} kills, {interrupted} of them within the renaming of a folder's files, which loading names");
        return faults;
    }

    /// <summary>What the process of <see cref="TrainAndResume"/> does.</summary>
    public static void TrainHere(string folder)
    {
        var context = new MLContext(1);
        IDataView texts = context.Data.LoadFromEnumerable(Enumerable.Range(0, 400).Select(i => new Row($"line {i} of {i * i % 97} and {i % 7} more")).ToArray());
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            HiddenSize = 32,
            LayerCount = 2,
            MaximumSteps = 500,
            Seed = 5,
            Device = "cpu",
            CheckpointFolder = Path.Combine(folder, "checkpoints"),
            CheckpointInterval = TrainingInterval.Steps(5),
            Resume = true,
        }).Fit(texts);
        File.WriteAllText(Path.Combine(folder, "result"), model.Model.Score("line 1 of 2 and 3 more").ToString());
    }

    /// <summary>What the process of <see cref="Save"/> does.</summary>
    public static void SaveHere(string folder)
    {
        var context = new MLContext(1);
        IDataView texts = context.Data.LoadFromEnumerable(Enumerable.Range(0, 50).Select(i => new Row($"line {i}")).ToArray());
        string scores = Path.Combine(folder, "scores");
        File.Delete(scores);
        LeapLanguageModelTransformer[] models = [.. new[] { 1, 2 }.Select(seed => context.Leap().LanguageModel(
            new LeapLanguageModelTrainer.Options { HiddenSize = 64, LayerCount = 2, Epochs = 1, Seed = seed, Device = "cpu" }).Fit(texts))];
        while (true)
        {
            foreach (LeapLanguageModelTransformer model in models)
            {
                context.Leap().Save(model, null, Path.Combine(folder, "model.zip"));
                model.SavePretrained(Path.Combine(folder, "model"));
                if (File.Exists(scores))
                    continue;
                File.WriteAllLines(scores + ".new", models.Select(each => Describe(each.Model)));
                File.Move(scores + ".new", scores);
            }
        }
    }

    /// <summary>Saves over a model on a disk that has no room for a second one.</summary>
    /// <returns>What went wrong; empty for nothing.</returns>
    public static IReadOnlyList<string> FillDisk(string folder, Action<string> tell)
    {
        var context = new MLContext(1);
        IDataView texts = context.Data.LoadFromEnumerable(Enumerable.Range(0, 50).Select(i => new Row($"line {i}")).ToArray());
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(
            new LeapLanguageModelTrainer.Options { HiddenSize = 64, LayerCount = 2, Epochs = 1, Seed = 1, Device = "cpu" }).Fit(texts);
        string zip = Path.Combine(folder, "model.zip"), pretrained = Path.Combine(folder, "model");
        context.Leap().Save(model, null, zip);
        model.SavePretrained(pretrained);
        using (FileStream filler = File.Create(Path.Combine(folder, "filler")))
            Fill(filler);

        List<string> faults = [];
        RequireFull("the zip", () => context.Leap().Save(model, null, zip));
        RequireFull("the folder", () => model.SavePretrained(pretrained));
        string expected = Describe(model.Model);
        if (Load(zip) != expected || Load(pretrained) != expected)
            faults.Add("a save on a full disk harmed the model that was there");
        if (Directory.GetFiles(folder, "*.tmp", SearchOption.AllDirectories).Length > 0)
            faults.Add("a save on a full disk left files behind");
        tell($"a full disk: {(faults.Count == 0 ? "both saves were refused, and the models of before load" : "see below")}");
        return faults;

        void RequireFull(string what, Action save)
        {
            try
            {
                save();
                faults.Add($"{what} was saved on a full disk");
            }
            catch (IOException)
            {
            }
        }
    }

    // Until the disk takes no byte more.
    private static void Fill(FileStream filler)
    {
        byte[] block = new byte[4096];
        try
        {
            while (filler.Length < 1L << 30)
            {
                filler.Write(block);
                filler.Flush();
            }
        }
        catch (IOException)
        {
            return;
        }

        throw new InvalidOperationException("The folder's disk has over a gigabyte: give a small one, such as a tmpfs of 8 MB.");
    }

    private static string? Load(string path)
    {
        try
        {
            using LeapLanguageModel model = LeapLanguageModel.Load(path);
            return Describe(model);
        }
        catch (FormatException exception) when (exception.Message.Contains("the saving was interrupted", StringComparison.Ordinal))
        {
            return null;
        }
    }

    private static string Describe(LeapLanguageModel model) => model.Score("line 1").ToString();

    private static void RunToTheEnd(string verb, string folder)
    {
        using Process process = Start(verb, folder);
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"The process '{verb}' ended with {process.ExitCode}.");
    }

    private static void KillWhen(Func<bool> isReady, string verb, string folder, TimeSpan delay)
    {
        using Process process = Start(verb, folder);
        while (!isReady())
        {
            if (process.WaitForExit(5))
                throw new InvalidOperationException($"The process '{verb}' ended with {process.ExitCode} before it was killed.");
        }

        Thread.Sleep(delay);
        process.Kill();
        process.WaitForExit();
    }

    private static string[] Checkpoints(string folder)
    {
        string checkpoints = Path.Combine(folder, "checkpoints");
        return Directory.Exists(checkpoints) ? Directory.GetDirectories(checkpoints) : [];
    }

    private static Process Start(string verb, string folder)
    {
        Directory.CreateDirectory(folder);
        return Process.Start(Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? $"{Program}.exe" : Program), [verb, folder]);
    }

    private sealed record Row(string Text);
}
