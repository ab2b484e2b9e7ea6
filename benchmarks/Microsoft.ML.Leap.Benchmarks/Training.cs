using System.CommandLine;
using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "training": tokens per second and memory of LEAP, its naive form and GPT-2.</summary>
internal static class TrainingCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var rounds = new Option<int>("--rounds") { Description = "Steps of each contestant that count", DefaultValueFactory = _ => 7 };
        var warmups = new Option<int>("--warmups") { Description = "Steps of LEAP and GPT-2 before those", DefaultValueFactory = _ => 10 };
        var role = new Option<string?>("--role") { Description = "What this process does for another", Hidden = true };
        var shape = new TrainingShape.Options();
        var command = new System.CommandLine.Command("training", "Measure training speed and memory beside the naive form and GPT-2.")
        {
            json, rounds, warmups, role,
        };
        shape.AddTo(command);
        command.SetAction(arguments =>
        {
            // Settings of the process, made before torch is loaded.
            if (arguments.GetValue(role) == TrainingWorker.NaiveByItself)
                AppContext.SetSwitch(AllocatorSettings.SwitchName, true);
            TrainingShape sizes = shape.Read(arguments);
            if (arguments.GetValue(role) is string given)
                TrainingWorker.Serve(given, sizes);
            else
                Report(Run(sizes, arguments.GetValue(warmups), arguments.GetValue(rounds)), arguments.GetValue(json));
        });
        return command;
    }

    /// <summary>Measures contestants of a shape, each in a process of its own.</summary>
    public static TrainingReport Run(TrainingShape sizes, int warmups, int rounds)
    {
        var shape = new TrainingShape.Options();
        using var benchmark = new TrainingBenchmark(sizes, role => ["training", "--role", role, .. shape.Write(sizes)]);
        return benchmark.Run(warmups, rounds);
    }

    private static void Report(TrainingReport report, FileInfo? file)
    {
        TrainingTables.Write(report);
        if (file is not null)
            JsonReport.Write(file.FullName, report);
    }
}

/// <summary>Trains LEAP, its naive form and GPT-2 side by side, step by step in turn. Each has a process of its own, because allocator
/// settings and peak memory belong to a process.</summary>
internal sealed class TrainingBenchmark : IDisposable
{
    private static readonly string[] Contestants =
        [TrainingContestant.Leap, TrainingContestant.Gpt2, TrainingContestant.Naive, TrainingWorker.NaiveByItself];

    private readonly TrainingShape _shape;
    private readonly Dictionary<string, Worker> _workers;

    /// <param name="shape">The sizes.</param>
    /// <param name="argumentsOf">The arguments that start a process for a role.</param>
    public TrainingBenchmark(TrainingShape shape, Func<string, IEnumerable<string>> argumentsOf)
    {
        _shape = shape;
        string[] roles = [.. Contestants, TrainingWorker.Parts, TrainingWorker.Rates];
        _workers = roles.ToDictionary(role => role, role => new Worker(argumentsOf(role)));
    }

    /// <summary>Measures, after steps that do not count: .NET compiles a method for speed only once it has often run. The naive forms have
    /// no such methods, and only allocate in their first step.</summary>
    public TrainingReport Run(int warmups, int rounds)
    {
        for (int i = 0; i < warmups; i++)
        {
            Step(TrainingContestant.Leap);
            Step(TrainingContestant.Gpt2);
            MeasureParts();
        }

        Step(TrainingContestant.Naive);
        Step(TrainingWorker.NaiveByItself);
        TrainingRound[] measured = [.. Enumerable.Range(0, rounds).Select(_ => Round())];
        Dictionary<string, ContestantFacts> facts = Contestants.ToDictionary(
            name => name, name => _workers[name].Ask<ContestantFacts>(TrainingWorker.Facts));
        return TrainingReport.FromRounds(MachineFacts.Collect(), _shape, measured, facts);
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers.Values)
            worker.Dispose();
    }

    private TrainingRound Round() => new(
        _workers[TrainingWorker.Rates].Ask<MatrixRate>(TrainingWorker.Step),
        Step(TrainingContestant.Leap),
        Step(TrainingContestant.Gpt2),
        Step(TrainingContestant.Naive),
        Step(TrainingWorker.NaiveByItself),
        MeasureParts());

    private PartTimes MeasureParts() => _workers[TrainingWorker.Parts].Ask<PartTimes>(TrainingWorker.Step);

    private double Step(string contestant) => _workers[contestant].Ask<double>(TrainingWorker.Step);
}

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
        switch (role)
        {
            case Parts:
                using (var parts = new TrainingParts(shape))
                    Worker.Serve(_ => parts.Measure());
                break;
            case Rates:
                using (var rates = new MatrixProductRates(shape.Config, shape.Device))
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

/// <summary>What a contestant's process says of itself.</summary>
/// <param name="AllocatorSettings">Whether the library's allocator settings are in force.</param>
/// <param name="PeakMegabytes">The most memory that it has held, in megabytes.</param>
internal sealed record ContestantFacts(bool AllocatorSettings, double PeakMegabytes);

/// <summary>Takes the parts of a LEAP training step one by one, on tensors of the step's own shapes and with its own modules.</summary>
internal sealed class TrainingParts : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TrainingShape _shape;
    private readonly LeapModel _model;
    private readonly TrainingStep _step;
    private readonly DropoutNoise _noise = new(1);
    private readonly MultiheadLeap[] _attentions;
    private readonly Linear[] _widening;
    private readonly Linear _narrowing;
    private readonly Tensor _narrow;
    private readonly Tensor _wide;
    private readonly Tensor _narrowGradient;
    private readonly Tensor _wideGradient;
    private readonly Tensor _targets;

    public TrainingParts(TrainingShape shape)
    {
        _shape = shape;
        LeapConfig config = shape.Config;
        Device device = shape.Device;
        _model = new LeapModel(config, device, 1);
        _model.train();
        TokenBlocks blocks = shape.Blocks(1);
        _step = new TrainingStep(_model, blocks, shape.TrainerOptions);

        _attentions = [.. config.WindowSizes.Select(
            window => new MultiheadLeap(
                config.HeadCount, config.FocusSize, window, config.RescaleValue, new Dropout(config.Dropout, _noise), config.GetForgetOffsets()))];
        using var initializer = new WeightInitializer(config.InitializerRange, device, 1);
        long d = config.HiddenSize;
        _widening = [.. Enumerable.Range(0, 2).Select(_ => new Linear(d, 4 * d, initializer) { TrainsInBFloat16 = shape.UsesBFloat16 })];
        _narrowing = new Linear(4 * d, d, initializer) { TrainsInBFloat16 = shape.UsesBFloat16 };

        long[] tokens = [shape.BatchSize, shape.ContextLength];
        _narrow = randn([.. tokens, d], device: device).requires_grad_();
        _wide = randn([.. tokens, 4 * d], device: device).requires_grad_();
        _narrowGradient = randn([.. tokens, d], device: device);
        _wideGradient = randn([.. tokens, 4 * d], device: device);
        _targets = randint(config.VocabularySize, [shape.TokensPerStep], ScalarType.Int64, device);

        // Leaves gradients for the optimizer.
        _step.Run([.. blocks.InBatches(shape.BatchSize)], shape.TrainerOptions.LearningRate!.Value, seed: 1);
    }

    public PartTimes Measure() => new(
        Seconds(() => Array.ForEach(_attentions, Attend)),
        Seconds(() => Repeat(_shape.LayerCount, MultiplyInBlock)),
        Seconds(LoseInHead),
        Seconds(Optimize));

    public void Dispose()
    {
        foreach (IDisposable module in (IDisposable[])[.. _attentions, .. _widening, _narrowing])
            module.Dispose();
        _step.Dispose();
        _model.Dispose();
        _noise.Dispose();
        _scope.Dispose();
    }

    private void Attend(MultiheadLeap attention) => Backward(attention.call(_wide), _narrowGradient);

    private void MultiplyInBlock()
    {
        Backward(_widening[0].call(_narrow), _wideGradient);
        Backward(_narrowing.Product(Gelu.Apply(_widening[1].Product(_narrow))).to(ScalarType.Float32), _narrowGradient);
    }

    private void LoseInHead()
    {
        var form = new LinearCrossEntropyLayout(UsesBFloat16: _shape.UsesBFloat16);
        LinearCrossEntropy.Mean(_narrow.flatten(0, 1), _model.HeadWeight, _model.HeadBias, _targets, _shape.TokensPerStep, form).backward();
    }

    private void Optimize()
    {
        double largest = _shape.TrainerOptions.MaximumGradientNorm;
        _step.Optimizer.Step(_shape.TrainerOptions.LearningRate!.Value, Math.Min(1, largest / _step.GradientNorm().item<float>()));
    }

    private static void Repeat(int count, Action part)
    {
        for (int i = 0; i < count; i++)
            part();
    }

    private static void Backward(Tensor result, Tensor gradient) => autograd.backward([result], [gradient]);

    private double Seconds(Action part)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        part();
        DeviceChoice.Wait(_model.Device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}

/// <summary>Seconds that the parts of one LEAP training step take, each measured by itself, forward and backward.</summary>
/// <param name="Attention">The attention of all layers, from the projected vectors on.</param>
/// <param name="BlockProducts">The matrix products and the GELU of all layers.</param>
/// <param name="HeadAndLoss">The output layer and the cross-entropy.</param>
/// <param name="OptimizerAndClipping">The gradient's norm, its clipping, and AdamW.</param>
internal sealed record PartTimes(double Attention, double BlockProducts, double HeadAndLoss, double OptimizerAndClipping)
{
    public double Sum => Attention + BlockProducts + HeadAndLoss + OptimizerAndClipping;
}
