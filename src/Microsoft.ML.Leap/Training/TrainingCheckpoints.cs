using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Writes all that a run needs to go on, and reads it back to the bit.</summary>
internal sealed class TrainingCheckpoints
{
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "training.json";
    private const string LossLog = "loss_log";
    private const int Version = 1;

    private readonly CheckpointSettings _settings;
    private readonly CheckpointFolder _folder;
    private readonly Dictionary<string, string> _fingerprint;
    private readonly Stopwatch _sinceLast = Stopwatch.StartNew();

    /// <exception cref="InvalidOperationException">The folder holds checkpoints, and the run is not to go on from them.</exception>
    public TrainingCheckpoints(CheckpointSettings settings, Dictionary<string, string> fingerprint)
    {
        _settings = settings;
        _folder = new CheckpointFolder(settings.Folder);
        _fingerprint = fingerprint;
        if (!settings.Resume && _folder.Steps.Count > 0)
        {
            throw new InvalidOperationException(
                $"The folder '{settings.Folder}' already holds checkpoints. Set Resume to go on from them, or name another CheckpointFolder.");
        }
    }

    /// <summary>Reads where the latest checkpoint stands; <see langword="null"/> where there is none.</summary>
    /// <exception cref="InvalidOperationException">It belongs to another run.</exception>
    /// <exception cref="FormatException">It is corrupt.</exception>
    public TrainingState? ReadState()
    {
        if (_folder.Steps.Count == 0)
            return null;
        string path = _folder.PathOf(_folder.Steps[^1]);
        Content content = Load(path, source => source.Read(StateFile, stream => SettingsJson.Read<Content>(stream, Version, StateFile)));
        if (content.State.Step != _folder.Steps[^1])
            throw new FormatException($"{StateFile}: the checkpoint '{path}' holds the state of step {content.State.Step}.");
        RunFingerprint.Require(_fingerprint, content.Fingerprint, path);
        return content.State;
    }

    /// <summary>Reads the rest of the checkpoint that <see cref="ReadState"/> read.</summary>
    /// <exception cref="FormatException">It is corrupt.</exception>
    public void ReadRest(TrainingState state, LanguageModelNetwork model, AdamWOptimizer optimizer, BestWeights best, TrainingLog log)
    {
        string path = _folder.PathOf(state.Step);
        ReadWeights(path, model.Weights.ToDictionary(entry => entry.Name, entry => (Tensor)entry.Weight));
        Load(path, source => source.Read(OptimizerFile, stream => ReadOptimizer(stream, optimizer, log, state.Step)));
        log.Records.AddRange(Load(path, source => source.Read(HistoryCsv.FileName, HistoryCsv.Read)));
        optimizer.StepCount = state.Step - state.SkippedSteps;
        if (state.BestStep is long bestStep && Directory.Exists(_folder.PathOf(bestStep)))
            ReadWeights(_folder.PathOf(bestStep), best.Tensors);
    }

    public bool IsDue(TrainingState state, long stepsAnEpoch) => _settings.Interval.IsDue(state.Step, stepsAnEpoch, _sinceLast.Elapsed);

    public void Save(TrainingState state, AdamWOptimizer optimizer, TrainingLog log)
    {
        _folder.Write(state.Step, target =>
        {
            _settings.WriteModel(target);
            target.Write(OptimizerFile, stream => WriteOptimizer(stream, optimizer, log));
            target.Write(HistoryCsv.FileName, stream => HistoryCsv.Write(stream, log.Records));
            target.Write(StateFile, stream => SettingsJson.Write(stream, Version, new Content(state, _fingerprint)));
        });
        _folder.Prune(_settings.Kept, state.BestStep);
        _sinceLast.Restart();
    }

    private static void WriteOptimizer(Stream stream, AdamWOptimizer optimizer, TrainingLog log)
    {
        using Tensor losses = tensor(log.Losses.ToArray());
        SafeTensorsWriter.Write(stream, [.. optimizer.State, KeyValuePair.Create(LossLog, losses)]);
    }

    private static bool ReadOptimizer(Stream stream, AdamWOptimizer optimizer, TrainingLog log, long steps)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor losses = zeros([steps], ScalarType.Float64);
        var destinations = new Dictionary<string, Tensor>(optimizer.State, StringComparer.Ordinal) { [LossLog] = losses };
        ReadTensors(stream, OptimizerFile, destinations, requireFinite: false);
        log.Losses.AddRange(losses.data<double>().ToArray());
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
        string? fault = Checkpoint.FindFault(
            destinations.ToDictionary(pair => pair.Key, pair => pair.Value.shape), reader.Tensors.ToDictionary(info => info.Name, info => info.Shape));
        if (fault is not null)
            throw new FormatException($"{name}: {fault}");
        reader.ReadTensors(info => destinations[info.Name], requireFinite);
    }

    private static T Load<T>(string path, Func<IModelSource, T> load) => ModelFolder.Load(path, load);

    private sealed record Content(TrainingState State, Dictionary<string, string> Fingerprint);
}
