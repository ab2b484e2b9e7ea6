using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Reads one long text of random tokens twice: step by step as generation does, and in double precision.</summary>
internal sealed class DriftBenchmark : IDisposable
{
    // A checkpoint of many steps: a single step's error says little.
    private const int StepsACheckpoint = 100;
    private const int FirstCheckpoint = 1000;
    private const int StepsAPiece = 2048;

    private readonly LeapConfig _config;
    private readonly RecurrentNetwork _network;
    private readonly RawRecurrentState _state;
    private readonly DoubleNetwork _exact;
    private readonly Random _random;
    private readonly float[] _hidden;

    public DriftBenchmark(LeapModel model, int seed)
    {
        _config = model.Config;
        _network = new RecurrentNetwork(model);
        _state = (RawRecurrentState)_network.CreateState();
        _exact = new DoubleNetwork(model);
        _random = new Random(seed);
        _hidden = new float[_config.HiddenSize];
    }

    public DriftReport Run(int steps)
    {
        long start = Stopwatch.GetTimestamp();
        List<DriftCheckpoint> checkpoints = [.. Checkpoints(steps).Select(CheckAt)];
        return new DriftReport
        {
            Machine = MachineFacts.Collect(),
            Network = _config.ToString(),
            StepsACheckpoint = StepsACheckpoint,
            LeastFocusLogit = _exact.LeastFocus,
            MostFocusLogit = _exact.MostFocus,
            Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            Checkpoints = checkpoints,
        };
    }

    public void Dispose()
    {
        _exact.Dispose();
        _state.Dispose();
        _network.Dispose();
    }

    // 1,000, 10,000 and so on, and the last step.
    private static IEnumerable<int> Checkpoints(int steps)
    {
        for (long step = FirstCheckpoint; step < steps; step *= 10)
            yield return (int)step;
        yield return steps;
    }

    private DriftCheckpoint CheckAt(int step)
    {
        while (step - _state.Position > StepsACheckpoint)
            Skip((int)Math.Min(StepsAPiece, step - StepsACheckpoint - _state.Position));
        return Compare((int)(step - _state.Position));
    }

    private void Skip(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        int[] ids = NextIds(count);
        _exact.Read(ids);
        foreach (int id in ids)
            _network.Read([id], _state, _hidden);
    }

    private DriftCheckpoint Compare(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        int[] ids = NextIds(count);
        Tensor expectedHidden = _exact.Read(ids);
        double[] hidden = Values(expectedHidden);
        double[] logits = Values(_exact.Logits(expectedHidden));
        var means = new ErrorRange[_config.LayerCount];
        ErrorRange hiddenErrors = default, logitErrors = default;
        float[] actual = new float[_config.HiddenSize];
        float[] actualLogits = new float[_config.VocabularySize];
        for (int i = 0; i < count; i++)
        {
            _network.Read([ids[i]], _state, _hidden);
            for (int layer = 0; layer < means.Length; layer++)
            {
                StateMeans.Write(_state, _config, layer, actual);
                means[layer].Add(_exact.Means(layer, i), actual);
            }

            _network.Logits([_hidden], [actualLogits]);
            hiddenErrors.Add(hidden.AsSpan(i * _hidden.Length, _hidden.Length), _hidden);
            logitErrors.Add(logits.AsSpan(i * actualLogits.Length, actualLogits.Length), actualLogits);
        }

        return new DriftCheckpoint(
            _state.Position,
            [.. means.Select(errors => errors.Largest)],
            hiddenErrors.Largest,
            logitErrors.Largest,
            logitErrors.RootMeanSquare);
    }

    private int[] NextIds(int count) => [.. Enumerable.Range(0, count).Select(_ => _random.Next(_config.VocabularySize))];

    private static double[] Values(Tensor values) => values.contiguous().data<double>().ToArray();
}
