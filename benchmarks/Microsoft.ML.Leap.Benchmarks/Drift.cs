using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "drift": how far a long stream of single steps is from double precision.</summary>
internal static class DriftCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        Option<int> steps = PositiveOption.Create("--steps", "Steps of the stream", 1_000_000);
        Option<int> layers = PositiveOption.Create("--layers", "Layers", 4);
        Option<int> hidden = PositiveOption.Create("--hidden", "Width", 64);
        Option<int> heads = PositiveOption.Create("--heads", "Heads", 2);
        Option<int> vocabulary = PositiveOption.Create("--vocabulary", "Possible tokens", 1000);
        var convolution = new Option<int>("--convolution")
        {
            Description = "Tokens that the convolutions see; 0 for none",
            DefaultValueFactory = _ => 4,
        };
        Option<int> focus = PositiveOption.Create("--focus", "Values per head in F1, and in F2", 8);
        var windows = new Option<bool>("--windows") { Description = "Windows in place of forget gates, as the original has them" };
        Option<int> seed = PositiveOption.Create("--seed", "Decides the weights and the tokens", 1);
        var command = new System.CommandLine.Command("drift", "Measure how far a long stream of single steps is from double precision.")
        {
            json, steps, layers, hidden, heads, vocabulary, convolution, focus, windows, seed,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            int chosenSeed = arguments.GetValue(seed);
            using LeapModel model = DriftNetwork.Create(
                arguments.GetValue(layers),
                arguments.GetValue(hidden),
                arguments.GetValue(heads),
                arguments.GetValue(vocabulary),
                arguments.GetValue(convolution),
                !arguments.GetValue(windows),
                arguments.GetValue(focus),
                chosenSeed);
            using var benchmark = new DriftBenchmark(model, chosenSeed);
            DriftReport report = benchmark.Run(arguments.GetValue(steps));
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }
}

/// <summary>Makes the network of the drift benchmark: without learned positions, and with weights whose focus spreads widely.</summary>
internal static class DriftNetwork
{
    private const int Context = 2048;
    private const int LongestWindow = 1000;

    public static LeapModel Create(int layerCount, int hiddenSize, int headCount, int vocabularySize, int convolutionSize, bool useForgetGates, int focusSize, int seed)
    {
        var config = new LeapConfig(
            vocabularySize,
            hiddenSize,
            Context,
            layerCount,
            headCount,
            windowSizes: useForgetGates ? null : [.. Enumerable.Range(0, layerCount).Select(layer => layer == layerCount - 1 ? Context : Window(layer))],
            initializerRange: 1 / Math.Sqrt(hiddenSize),
            usePositionEmbeddings: false,
            convolutionSize: convolutionSize,
            useForgetGates: useForgetGates,
            focusSize: focusSize);
        var model = new LeapModel(config, CPU, seed);
        model.eval();
        Spread(model, seed);
        return model;
    }

    // 3, 24, 192 and so on: no powers of two, so that blocks begin at all kinds of steps.
    private static int Window(int layer) => (int)Math.Min(LongestWindow, 3 * Math.Pow(8, layer));

    private static void Spread(LeapModel model, int seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Normal(double deviation, params long[] shape) => empty(shape).normal_(0, deviation, generator);
        foreach (var (name, weight) in model.Weights)
        {
            if (weight.dim() == 1)
                weight.add_(Normal(0.1, weight.shape));
            if (name.EndsWith("convolution.weight", StringComparison.Ordinal))
                weight.add_(Normal(0.3, weight.shape));
            if (name.EndsWith("projections.weight", StringComparison.Ordinal))
                AlignFocus(weight, model.Config, Normal);
        }
    }

    // A focus logit is the correlation of two vectors, times 8; those of independent weights hardly correlate. Here both lean along one
    // direction of the head, each by its own projection of the token: their logits cover most of -8 to 8.
    private static void AlignFocus(Tensor projections, LeapConfig config, Func<double, long[], Tensor> normal)
    {
        double deviation = 1 / Math.Sqrt(config.HiddenSize);
        long[] shape = [2, config.HeadCount, config.FocusSize, config.HiddenSize];
        Tensor factors = projections.narrow(0, config.HiddenSize, projections.shape[0] - 2 * config.HiddenSize).view(shape);
        Tensor direction = normal(1, [1, config.HeadCount, config.FocusSize, 1]);
        factors.add_(direction * normal(deviation, [2, config.HeadCount, 1, config.HiddenSize]));
    }
}

/// <summary>Reads one long text of random tokens twice: step by step as generation does, and in double precision.</summary>
internal sealed class DriftBenchmark : IDisposable
{
    // A checkpoint of many steps: a single step's error says little.
    private const int StepsACheckpoint = 100;
    private const int FirstCheckpoint = 1000;
    private const int StepsPerPiece = 2048;

    private readonly LeapConfig _config;
    private readonly LeapNetwork _network;
    private readonly NetworkState _state;
    private readonly DoubleNetwork _exact;
    private readonly Random _random;
    private readonly float[] _hidden;

    public DriftBenchmark(LeapModel model, int seed)
    {
        _config = model.Config;
        _network = new LeapNetwork(_config, model.GetWeights());
        _state = _network.CreateState();
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
            Skip((int)Math.Min(StepsPerPiece, step - StepsACheckpoint - _state.Position));
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

/// <summary>The focused means that a recurrent state holds: the sums of its windows, divided.</summary>
internal static unsafe class StateMeans
{
    /// <summary>Writes a layer's focused means at the last token read.</summary>
    /// <param name="state">The state, after at least one token.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="means">Where they go, [d].</param>
    public static void Write(NetworkState state, LeapConfig config, int layer, Span<float> means)
    {
        SlidingSumsLayout form = NetworkState.GetLayout(config, layer);
        float[] row = new float[form.RowSize];
        using var sums = new SlidingSums<AnyRowSize>(form);
        for (int head = 0; head < config.HeadCount; head++)
        {
            sums.Continue(state.GetSums(layer, head));
            fixed (float* pointer = row)
                sums.Write(1 / sums.Number, pointer);
            row.AsSpan(0, config.HeadSize).CopyTo(means[(head * config.HeadSize)..]);
        }

        GC.KeepAlive(state);
    }
}

/// <summary>The errors of many values: the largest, and the root of their mean square.</summary>
internal struct ErrorRange
{
    private double _squares;
    private long _count;

    public double Largest { get; private set; }

    public readonly double RootMeanSquare => Math.Sqrt(_squares / _count);

    public void Add(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            double error = Math.Abs(expected[i] - actual[i]);

            // Math.Max keeps NaN: a value that is none is no small error.
            Largest = Math.Max(Largest, error);
            _squares += error * error;
        }

        _count += expected.Length;
    }
}

/// <summary>What the verb "drift" measured.</summary>
internal sealed record DriftReport
{
    public required MachineFacts Machine { get; init; }
    public required string Network { get; init; }

    /// <summary>Gets the steps up to a checkpoint whose errors it has.</summary>
    public required int StepsACheckpoint { get; init; }

    public required double LeastFocusLogit { get; init; }
    public required double MostFocusLogit { get; init; }
    public required double Seconds { get; init; }
    public required IReadOnlyList<DriftCheckpoint> Checkpoints { get; init; }

    /// <summary>Gets the largest error of the focused means over all layers and checkpoints.</summary>
    public double MaxError => Checkpoints.Max(checkpoint => checkpoint.MeansErrors.Max());

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"{Network}");
        AnsiConsole.MarkupLineInterpolated(
            $"single steps against double precision; focus logits from {LeastFocusLogit:0.0} to {MostFocusLogit:0.0}; {Seconds:0} s");
        AnsiConsole.MarkupLineInterpolated($"largest absolute errors over the last {StepsACheckpoint} steps up to each checkpoint:");
        AnsiConsole.MarkupLineInterpolated($"each layer's focused means M, the hidden vector, the logits; and the logits' rms error");
        var table = new Table().AddColumn("step");
        for (int layer = 0; layer < Checkpoints[0].MeansErrors.Count; layer++)
            table.AddColumn($"M {layer}");
        table.AddColumns("hidden", "logits", "rms");
        foreach (DriftCheckpoint row in Checkpoints)
        {
            double[] errors = [.. row.MeansErrors, row.HiddenError, row.LogitsError, row.LogitsRootMeanSquareError];
            string step = row.Step.ToString("N0", CultureInfo.InvariantCulture);
            table.AddRow([step, .. errors.Select(error => error.ToString("0.0e-0", CultureInfo.InvariantCulture))]);
        }

        AnsiConsole.Write(table);
        foreach (DriftCheckpoint row in (DriftCheckpoint[])[Checkpoints[0], Checkpoints[^1]])
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"logits' error up to step {row.Step:N0}: {Text(row.LogitsError)}, rms {Text(row.LogitsRootMeanSquareError)}"));
        }

        Console.WriteLine($"max error {Text(MaxError)}");
    }

    private static string Text(double error) => error.ToString("0.00e-00", CultureInfo.InvariantCulture);
}

/// <summary>The largest absolute errors over the last steps up to one.</summary>
/// <param name="Step">The last of these steps.</param>
/// <param name="MeansErrors">Of the focused means, by layer.</param>
/// <param name="HiddenError">Of what the output layer sees.</param>
/// <param name="LogitsError">Of the logits.</param>
/// <param name="LogitsRootMeanSquareError">The root of the logits' mean squared error.</param>
internal sealed record DriftCheckpoint(
    long Step, IReadOnlyList<double> MeansErrors, double HiddenError, double LogitsError, double LogitsRootMeanSquareError);
