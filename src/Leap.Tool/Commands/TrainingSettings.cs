using System.CommandLine;
using System.Globalization;

namespace Leap.Tool;

/// <summary>The options of <c>leap train</c> that set what the trainer chooses by itself otherwise.</summary>
internal sealed class TrainingSettings
{
    private readonly List<(Option Option, Action<ParseResult, LeapLanguageModelTrainer.Options> Apply)> _settings = [];

    public TrainingSettings()
    {
        Add<int?>("--epochs", "N", "Passes over the texts.", (options, value) => options.Epochs = value);
        Add<int?>("--steps", "N", "Optimizer steps, in place of epochs.", (options, value) => options.MaximumSteps = value);
        Add<string?>("--time", "TIME", "The most time to train: 90s, 10m or 2h.", (options, value) => options.TimeBudget = ParseTime(value!));
        Add<string?>(
            "--tokenizer", "KIND",
            "bytes; bpe:SIZE, byte-level BPE learned from the texts; a SentencePiece model (.model); or a folder with a tokenizer's files.",
            (options, value) => options.Tokenizer = ParseTokenizer(value!));
        Add<int?>("--layers", "N", "Decoder blocks of the network.", (options, value) => options.LayerCount = value);
        Add<int?>("--hidden", "N", "Width of the network, a multiple of the heads.", (options, value) => options.HiddenSize = value);
        Add<int?>("--heads", "N", "Attention heads.", (options, value) => options.HeadCount = value);
        Add<int?>("--context", "N", "Longest text in tokens that the training sees at once.", (options, value) => options.ContextLength = value);
        Add<double?>("--dropout", "P", "Probability of dropping a value, from 0 to below 1.", (options, value) => options.Dropout = value);
        Add<int?>("--batch", "N", "Contexts of tokens that go through the network at once.", (options, value) => options.BatchSize = value);
        Add<int?>("--accumulate", "N", "Batches that a step adds up.", (options, value) => options.GradientAccumulation = value!.Value);
        Add<double?>("--rate", "RATE", "Highest learning rate.", (options, value) => options.LearningRate = value);
        Add<double?>("--decay", "RATE", "Weight decay.", (options, value) => options.WeightDecay = value);
        Add<TrainingOptimizer?>("--optimizer", "NAME", "muon or adamw.", (options, value) => options.Optimizer = value);
        Add<TrainingPrecision?>("--precision", "NAME", "auto, float32 or bfloat16.", (options, value) => options.Precision = value!.Value);
        Add<TrainingLayout?>(
            "--layout", "NAME", "rows (each text is read by itself) or stream (texts one after another, for one long text).", (options, value) => options.Layout = value!.Value);
        Add<double?>("--memory", "MB", "Size of the memory of counted n-grams; 0 for the network alone.", (options, value) => options.MemoryMegabytes = value);
        Add<double?>("--held-out", "PART", "The part of the rows to set aside, from 0 to below 1.", (options, value) => options.ValidationFraction = value);
        Add<int?>("--patience", "N", "Evaluations without improvement after which the training ends.", (options, value) => options.EarlyStoppingPatience = value);
        Add<string?>(
            "--checkpoint", "FOLDER", "Writes checkpoints there, and goes on from the last one when the same command is started again.",
            (options, value) =>
            {
                options.CheckpointFolder = value;
                options.Resume = true;
            });
        Add<int?>("--seed", "N", "Decides what is random; 1 by default.", (options, value) => options.Seed = value);
        Add<string?>("--device", "NAME", "cpu, cuda or cuda:1; a GPU where there is one.", (options, value) => options.Device = value);
    }

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach ((Option option, _) in _settings)
            command.Add(option);
    }

    /// <summary>Gives the trainer's options that a command line asks for.</summary>
    public LeapLanguageModelTrainer.Options Read(ParseResult parsed)
    {
        var options = new LeapLanguageModelTrainer.Options();
        foreach ((_, Action<ParseResult, LeapLanguageModelTrainer.Options> apply) in _settings)
            apply(parsed, options);
        return options;
    }

    private void Add<T>(string name, string helpName, string description, Action<LeapLanguageModelTrainer.Options, T> apply)
    {
        var option = new Option<T>(name) { Description = description, HelpName = helpName };
        _settings.Add((option, (parsed, options) =>
        {
            if (parsed.GetResult(option) is not null && parsed.GetValue(option) is T value)
                apply(options, value);
        }
        ));
    }

    private static TimeSpan ParseTime(string text)
    {
        if (text.Length >= 2 && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number is > 0 and < 1e6)
        {
            switch (text[^1])
            {
                case 's':
                    return TimeSpan.FromSeconds(number);
                case 'm':
                    return TimeSpan.FromMinutes(number);
                case 'h':
                    return TimeSpan.FromHours(number);
            }
        }

        throw new UsageException($"--time must be a number with s, m or h, for example 10m, but is {text}.");
    }

    private static TokenizerOptions ParseTokenizer(string text)
    {
        const string bpe = "bpe";
        if (text == "bytes")
            return TokenizerOptions.Bytes();
        if (text == bpe)
            return TokenizerOptions.ByteLevelBpe();
        if (text.StartsWith(bpe + ':', StringComparison.Ordinal) && int.TryParse(text.AsSpan(bpe.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int size))
            return TokenizerOptions.ByteLevelBpe(size);
        if (Directory.Exists(text))
            return TokenizerOptions.Existing(LeapTokenizer.FromFolder(text));
        if (File.Exists(text))
            return TokenizerOptions.SentencePiece(text);
        throw new UsageException($"--tokenizer must be bytes, bpe:SIZE, a SentencePiece model or a folder, but there is no '{text}'.");
    }
}
