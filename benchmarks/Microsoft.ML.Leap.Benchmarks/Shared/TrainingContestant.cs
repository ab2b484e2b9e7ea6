using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The sizes and the precision of a training benchmark; by default the sizes of the original project's experiment.</summary>
internal sealed record TrainingShape
{
    public int LayerCount { get; init; } = LeapConfig.DefaultLayerCount;
    public int HiddenSize { get; init; } = LeapConfig.DefaultHiddenSize;
    public int HeadCount { get; init; } = LeapConfig.DefaultHeadCount;
    public int ContextLength { get; init; } = LeapConfig.DefaultContextLength;
    public int VocabularySize { get; init; } = LeapConfig.DefaultVocabularySize;
    public int BatchSize { get; init; } = 2;

    /// <summary>Gets whether LEAP's and GPT-2's matrix products are in bfloat16.</summary>
    public bool UsesBFloat16 { get; init; }

    /// <summary>Gets where all is computed: "cpu" or "cuda:0".</summary>
    public string DeviceName { get; init; } = "cpu";

    /// <summary>Gets where all is computed.</summary>
    public Device Device => DeviceChoice.Get(DeviceName);

    /// <summary>Gets the predicted tokens of a step.</summary>
    public int TokensPerStep => BatchSize * ContextLength;

    /// <summary>Gets the precision in words.</summary>
    public string PrecisionName => UsesBFloat16 ? "bf16 products" : "fp32";

    /// <summary>Gets the network's shape.</summary>
    public LeapConfig Config => LeapConfig.Original(VocabularySize, HiddenSize, ContextLength, LayerCount, HeadCount);

    /// <summary>Gets the trainer's options for steps of one batch, at the original's learning rate.</summary>
    public LeapLanguageModelTrainer.Options TrainerOptions => new()
    {
        LearningRate = 5e-4,
        WeightDecay = 0.01,
        Precision = UsesBFloat16 ? TrainingPrecision.BFloat16 : TrainingPrecision.Float32,
    };

    /// <summary>Takes the device and the precision that are asked for, and where they are left open those that the trainer takes.</summary>
    public TrainingShape On(string? device, TrainingPrecision precision)
    {
        Device selected = DeviceChoice.Get(device);
        return this with
        {
            DeviceName = selected.ToString(),
            UsesBFloat16 = PrecisionSelector.Choose(precision, selected, HiddenSize) == TrainingPrecision.BFloat16,
        };
    }

    /// <summary>Makes random tokens for so many steps' blocks.</summary>
    public TokenBlocks Blocks(int steps)
    {
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, steps * TokensPerStep + 1).Select(_ => random.Next(VocabularySize))];
        return new StreamBlocks(ids, ContextLength);
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{LayerCount} layers, hidden size {HiddenSize}, {HeadCount} heads, vocabulary {VocabularySize}, {BatchSize} x {ContextLength:N0} tokens per step, dropout 0.1, on {DeviceName}");

    /// <summary>The command line's options for a shape; hidden, because only the default sizes are the benchmark.</summary>
    internal sealed class Options
    {
        private static readonly TrainingShape _default = new();
        private readonly Option<int> _layers = Create("--layers", _default.LayerCount);
        private readonly Option<int> _hidden = Create("--hidden", _default.HiddenSize);
        private readonly Option<int> _heads = Create("--heads", _default.HeadCount);
        private readonly Option<int> _context = Create("--context", _default.ContextLength);
        private readonly Option<int> _vocabulary = Create("--vocabulary", _default.VocabularySize);
        private readonly Option<int> _batch = Create("--batch", _default.BatchSize);
        private readonly Option<TrainingPrecision> _precision = PrecisionChoice.CreateOption(TrainingPrecision.Auto);
        private readonly Option<string?> _device = ModelChoice.CreateDeviceOption();

        public void AddTo(System.CommandLine.Command command)
        {
            foreach (Option option in (Option[])[_layers, _hidden, _heads, _context, _vocabulary, _batch, _precision, _device])
                command.Options.Add(option);
        }

        public TrainingShape Read(ParseResult arguments) => new TrainingShape
        {
            LayerCount = arguments.GetValue(_layers),
            HiddenSize = arguments.GetValue(_hidden),
            HeadCount = arguments.GetValue(_heads),
            ContextLength = arguments.GetValue(_context),
            VocabularySize = arguments.GetValue(_vocabulary),
            BatchSize = arguments.GetValue(_batch),
        }.On(arguments.GetValue(_device), arguments.GetValue(_precision));

        /// <summary>Gives the arguments that another process reads the same shape from.</summary>
        public IEnumerable<string> Write(TrainingShape shape) =>
            new (Option Option, object Value)[]
            {
                (_layers, shape.LayerCount),
                (_hidden, shape.HiddenSize),
                (_heads, shape.HeadCount),
                (_context, shape.ContextLength),
                (_vocabulary, shape.VocabularySize),
                (_batch, shape.BatchSize),
                (_precision, shape.TrainerOptions.Precision),
                (_device, shape.DeviceName),
            }.SelectMany(entry => new[] { entry.Option.Name, Convert.ToString(entry.Value, CultureInfo.InvariantCulture)! });

        private static Option<int> Create(string name, int value) => new(name) { Hidden = true, DefaultValueFactory = _ => value };
    }
}

/// <summary>One that trains, a step at a time, on made-up tokens.</summary>
internal sealed class TrainingContestant : IDisposable
{
    public const string Leap = "leap";
    public const string Gpt2 = "gpt2";
    public const string Naive = "naive";

    // Steps whose batches take turns.
    private const int StepsOfBlocks = 8;

    private readonly IDisposable[] _owned;
    private readonly Action<TokenBlock[]> _step;
    private readonly TokenBlock[][] _batches;
    private readonly Device _device;
    private int _steps;

    private TrainingContestant(TokenBlocks blocks, TrainingShape shape, Action<TokenBlock[]> step, params IDisposable[] owned)
    {
        _batches = [.. blocks.InBatches(shape.BatchSize)];
        _device = shape.Device;
        _step = step;
        _owned = owned;
    }

    public static TrainingContestant Create(string name, TrainingShape shape) => name switch
    {
        Leap => CreateFromLibrary(shape, new LeapModel(shape.Config, shape.Device, 1)),
        Gpt2 => CreateFromLibrary(shape, new Gpt2Model(shape.Config, shape.Device, 1)),
        Naive => CreateNaiveLeap(shape),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, $"name must be {Leap}, {Gpt2} or {Naive}."),
    };

    /// <summary>Takes a step and returns its seconds.</summary>
    public double Step()
    {
        TokenBlock[] batch = _batches[_steps++ % _batches.Length];
        long start = Stopwatch.GetTimestamp();
        _step(batch);
        DeviceChoice.Wait(_device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose()
    {
        foreach (IDisposable owned in _owned)
            owned.Dispose();
    }

    // Both networks take the very step that the trainer takes.
    private static TrainingContestant CreateFromLibrary(TrainingShape shape, LanguageModelNetwork model)
    {
        model.train();
        LeapLanguageModelTrainer.Options options = shape.TrainerOptions;
        TokenBlocks blocks = shape.Blocks(StepsOfBlocks);
        var step = new TrainingStep(model, blocks, options);
        return new TrainingContestant(blocks, shape, batch => RequireTaken(step.Run([batch], options.LearningRate!.Value, seed: 1)), step, model);
    }

    private static TrainingContestant CreateNaiveLeap(TrainingShape shape)
    {
        var model = new NaiveLeapModel(shape.Config);
        model.to(shape.Device);
        model.train();
        TokenBlocks blocks = shape.Blocks(StepsOfBlocks);
        var step = new NaiveLeapStep(model, blocks, shape.TrainerOptions);
        return new TrainingContestant(blocks, shape, batch => step.Run(batch), step, model);
    }

    // A step that changes no weight is quicker than one that does.
    private static void RequireTaken(StepResult result)
    {
        if (!result.IsTaken)
            throw new InvalidOperationException($"A step was skipped: loss {result.Loss}, gradient norm {result.GradientNorm}.");
    }
}
