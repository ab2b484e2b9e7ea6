using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Writes all that a run needs to go on, and reads it back to the bit.</summary>
internal sealed class TrainingCheckpoints : IDisposable
{
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "training.json";

    // The loss of each step, which version 0.1 kept.
    private const string LossLog = "loss_log";

    private const int Version = 1;

    private readonly TrainingOptions _options;
    private readonly CheckpointFolder _folder;
    private readonly Dictionary<string, string> _fingerprint;
    private readonly Stopwatch _sinceLast = Stopwatch.StartNew();

    /// <exception cref="InvalidOperationException">The folder holds checkpoints, and the run is not to go on from them; or it cannot be used.</exception>
    public TrainingCheckpoints(TrainingOptions options, Dictionary<string, string> fingerprint)
    {
        _options = options;
        _folder = new CheckpointFolder(options.CheckpointFolder!);
        _fingerprint = fingerprint;
        if (!options.Resume && _folder.Steps.Count > 0)
        {
            _folder.Dispose();
            throw new InvalidOperationException(
                $"The folder '{options.CheckpointFolder}' already holds checkpoints. Set Resume to go on from them, or name another CheckpointFolder.");
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Reads in which precision the run trained that is to go on.</summary>
    /// <returns><see langword="null"/> where the run starts anew, or its checkpoint does not tell.</returns>
    /// <exception cref="InvalidOperationException">The folder cannot be used.</exception>
    /// <exception cref="FormatException">The checkpoint is corrupt.</exception>
    public static TrainingPrecision? ReadPrecision(TrainingOptions options)
    {
        if (!options.Resume)
            return null;
        using var folder = new CheckpointFolder(options.CheckpointFolder!);
        if (folder.Steps.Count == 0)
            return null;
        string? found = ReadContent(folder.GetPath(folder.Steps[^1])).Fingerprint.GetValueOrDefault(nameof(TrainingOptions.Precision));
        TrainingPrecision?[] fixedOnes = [TrainingPrecision.Float32, TrainingPrecision.BFloat16];
        return fixedOnes.FirstOrDefault(precision => precision.ToString() == found);
    }

    /// <summary>Reads where the latest checkpoint stands; <see langword="null"/> where there is none.</summary>
    /// <exception cref="InvalidOperationException">It belongs to another run.</exception>
    /// <exception cref="FormatException">It is corrupt.</exception>
    public TrainingState? ReadState()
    {
        if (_folder.Steps.Count == 0)
            return null;
        string path = _folder.GetPath(_folder.Steps[^1]);
        Content content = ReadContent(path);
        if (content.State.Step != _folder.Steps[^1])
            throw new FormatException($"{StateFile}: the checkpoint '{path}' holds the state of step {content.State.Step}.");
        if (content.State.FindFault() is string fault)
            throw new FormatException($"{StateFile}: the state of '{path}' is damaged: {fault}, which no run comes to.");
        RunFingerprint.Require(_fingerprint, content.Fingerprint, path);
        return content.State;
    }

    /// <summary>Reads the rest of the checkpoint that <see cref="ReadState"/> read.</summary>
    /// <exception cref="FormatException">It is corrupt, or the best model's checkpoint is missing.</exception>
    public void ReadRest(TrainingState state, LanguageModelNetwork model, Optimizer optimizer, BestWeights best, List<TrainingRecord> records)
    {
        string path = _folder.GetPath(state.Step);
        ReadWeights(path, model.Weights.ToDictionary(entry => entry.Name, entry => (Tensor)entry.Weight));
        Load(path, source => source.Read(OptimizerFile, stream => ReadOptimizer(stream, optimizer)));
        records.AddRange(Load(path, source => source.Read(HistoryCsv.FileName, HistoryCsv.Read)));
        optimizer.StepCount = state.Step - state.SkippedSteps;
        if (!_options.KeepBestModel || state.BestStep is not long bestStep)
            return;
        string bestPath = _folder.GetPath(bestStep);
        if (!Directory.Exists(bestPath))
        {
            throw new FormatException(
                $"The checkpoint '{path}' names '{bestPath}' as the best model so far, and that folder is missing. Put it back, or name another CheckpointFolder to begin anew.");
        }

        ReadWeights(bestPath, best.Tensors);
    }

    public bool IsDue(TrainingState state, long stepsPerEpoch) => _options.CheckpointInterval.IsDue(state.Step, stepsPerEpoch, _sinceLast.Elapsed);

    public void Save(TrainingState state, Optimizer optimizer, IReadOnlyList<TrainingRecord> records, Action<IModelTarget> writeModel)
    {
        _folder.Write(state.Step, target =>
        {
            writeModel(target);
            target.Write(OptimizerFile, stream => TensorFiles.Write(stream, optimizer.State));
            target.Write(HistoryCsv.FileName, stream => HistoryCsv.Write(stream, records));
            target.Write(StateFile, stream => SettingsJson.Write(stream, Version, new Content(state, _fingerprint)));
        });
        _folder.Prune(_options.KeptCheckpoints, state.BestStep);
        _sinceLast.Restart();
    }

    private static Content ReadContent(string path) =>
        Load(path, source => source.Read(StateFile, stream => SettingsJson.Read<Content>(stream, Version, StateFile)));

    private static bool ReadOptimizer(Stream stream, Optimizer optimizer)
    {
        ReadTensors(stream, OptimizerFile, optimizer.State.ToDictionary(StringComparer.Ordinal), requireFinite: false);
        return true;
    }

    private static void ReadWeights(string path, IReadOnlyDictionary<string, Tensor> weights)
    {
        using var noGradients = no_grad();
        Load(path, source => source.Read(ModelFileNames.Weights, stream =>
        {
            ReadTensors(stream, ModelFileNames.Weights, weights, requireFinite: true);
            return true;
        }));
    }

    private static void ReadTensors(Stream stream, string name, IReadOnlyDictionary<string, Tensor> destinations, bool requireFinite)
    {
        var reader = new SafeTensorsReader(stream, stream.Length, name);
        Dictionary<string, long[]> found = reader.Tensors.Where(info => info.Name != LossLog).ToDictionary(info => info.Name, info => info.Shape);
        if (Checkpoint.FindFault(destinations.ToDictionary(pair => pair.Key, pair => pair.Value.shape), found) is string fault)
            throw new FormatException($"{name}: {fault}");
        foreach (SafeTensorInfo info in reader.Tensors)
            Checkpoint.RequireFloat(info, name);
        using DisposeScope scope = NewDisposeScope();
        TensorFiles.ReadInto(reader, info => info.Name == LossLog ? zeros(info.Shape, ScalarType.Float64) : destinations[info.Name], requireFinite);
    }

    private static T Load<T>(string path, Func<IModelSource, T> load) => ModelFolder.Load(path, load);

    private sealed record Content(TrainingState State, Dictionary<string, string> Fingerprint);
}

/// <summary>A folder of checkpoints, each a subfolder that is named by its step. A checkpoint is written under a temporary name and renamed, so
/// that one with a final name is whole. As long as this object lives, no other run uses the folder.</summary>
internal sealed class CheckpointFolder : IDisposable
{
    private const string Prefix = "step-";
    private const string TemporarySuffix = ".tmp";
    private const string LockFile = "leap.lock";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _folder;
    private readonly FileStream _lock;

    /// <summary>Opens the folder, and makes it where it is absent.</summary>
    /// <exception cref="InvalidOperationException">It is a file, cannot be written, or another run uses it.</exception>
    public CheckpointFolder(string folder)
    {
        _folder = folder;
        _lock = Lock(folder);
    }

    /// <summary>Finds out whether a run could use a folder, before it spends time.</summary>
    /// <inheritdoc cref="CheckpointFolder(string)"/>
    public static void RequireUsable(string folder) => Lock(folder).Dispose();

    public void Dispose() => _lock.Dispose();

    /// <summary>Gets the steps of the checkpoints, least first.</summary>
    public IReadOnlyList<long> Steps => !Directory.Exists(_folder)
        ? []
        : [.. Directory.EnumerateDirectories(_folder, Prefix + "*").Select(ParseStep).OfType<long>().Order()];

    public string GetPath(long step) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D10}"));

    /// <summary>Writes the checkpoint of a step, if there is none.</summary>
    public void Write(long step, Action<IModelTarget> write)
    {
        string path = GetPath(step);
        if (Directory.Exists(path))
            return;
        string temporary = path + TemporarySuffix;
        DeleteIfExists(temporary);
        CreateForOwner(temporary);
        ModelFolder.Save(temporary, write);
        Directory.Move(temporary, path);
    }

    /// <summary>Deletes all but the latest checkpoints and the best one, and what killed runs left half-written.</summary>
    public void Prune(int kept, long? best)
    {
        foreach (long step in Steps.SkipLast(kept).Where(step => step != best))
        {
            // Renamed first: a half-deleted checkpoint must not look like a whole one.
            string temporary = GetPath(step) + TemporarySuffix;
            DeleteIfExists(temporary);
            Directory.Move(GetPath(step), temporary);
        }

        foreach (string temporary in Directory.EnumerateDirectories(_folder, $"{Prefix}*{TemporarySuffix}").ToArray())
            Directory.Delete(temporary, recursive: true);
    }

    private static FileStream Lock(string folder)
    {
        if (File.Exists(folder))
            throw new InvalidOperationException($"The CheckpointFolder '{folder}' is a file. Name a folder.");
        try
        {
            if (!Directory.Exists(folder))
                CreateForOwner(folder);
            return new FileStream(Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new InvalidOperationException($"The CheckpointFolder '{folder}' cannot be written: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new InvalidOperationException(
                $"The CheckpointFolder '{folder}' cannot be used: {e.Message} If another training uses it, wait for its end, or name another folder.", e);
        }
    }

    // Weights tell of the texts that they were trained on.
    private static void CreateForOwner(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, OwnerOnly);
    }

    private static void DeleteIfExists(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    private static long? ParseStep(string path) =>
        long.TryParse(Path.GetFileName(path.AsSpan())[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : null;
}
