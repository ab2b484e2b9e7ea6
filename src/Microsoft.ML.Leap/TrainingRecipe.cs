using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>The settings that a model was trained with where <see cref="LeapLanguageModelTrainer.Options"/> leave a choice: each as the
/// options gave it, or as the amount of text suggests. Immutable, and therefore thread-safe.</summary>
public sealed record TrainingRecipe
{
    // Shorter than the original's: a row of text is, and each row is read by itself.
    private const int DefaultContextLength = 256;
    private const double DefaultWarmupRatio = 0.02;

    // What models were trained with whose files do not tell.
    private const double OldWeightDecay = 0.01;
    private const int DefaultConvolutionSize = 4;
    private const int DefaultFocusSize = 8;
    private const double DefaultMemoryMegabytes = 64;

    // Fewer rows than that can spare none.
    private const int LeastRows = 100;
    private const double HeldOutPart = 0.03;
    private const int LeastRowsHeldOut = 10;
    private const int MostRowsHeldOut = 500;

    // What two cores of a common server read in three minutes at the sizes up to 4 MB, with products in bfloat16; of more text, time grows with its bytes.
    private const long TokensToRead = 3_300_000;
    private const double TokensToReadPerByte = 1.65;

    // A few rows are a noisy measure: of many epochs, more may pass without an improvement.
    private const int LeastPatience = 3;
    private const int PatienceShare = 8;

    // 256 bytes and the end-of-text token: nothing to learn, where there is little to learn it from.
    private const int Bytes = 257;

    // From sweeps over prose, verse, documentation, code and logs; docs/defaults.md has their figures. The first row whose limit the text does
    // not exceed counts.
    private static readonly Size[] Sizes =
    [
        new(20_000, VocabularySize: Bytes, LayerCount: 2, BatchSize: 1, Epochs: 10, LearningRate: 2e-3, WeightDecay: 1),
        new(300_000, VocabularySize: Bytes, LayerCount: 4, BatchSize: 2, Epochs: 12, LearningRate: 4e-3, WeightDecay: 0.6, Dropout: 0.1),
        new(1_200_000, VocabularySize: 2048, LayerCount: 4, BatchSize: 4, Epochs: 5, LearningRate: 4e-3, WeightDecay: 1, HiddenSize: 192),
        new(2_000_000, VocabularySize: 4096, LayerCount: 4, BatchSize: 4, Epochs: 6, LearningRate: 4e-3, WeightDecay: 0.6, HiddenSize: 192),
        new(4_000_000, VocabularySize: 8192, LayerCount: 4, BatchSize: 4, Epochs: 5, LearningRate: 4e-3, WeightDecay: 0.4, HiddenSize: 192),
        new(12_000_000, VocabularySize: 8192, LayerCount: 4, BatchSize: 8, Epochs: 5, LearningRate: 4e-3, WeightDecay: 0.4, HiddenSize: 192),
        new(long.MaxValue, VocabularySize: 8192, LayerCount: 4, BatchSize: 8, Epochs: 3, LearningRate: 4e-3, WeightDecay: 0.3, HiddenSize: 192),
    ];

    /// <summary>Gets the number of training rows that hold text, those set aside for validation included.</summary>
    public required int RowCount { get; init; }

    /// <summary>Gets the bytes of the training rows in UTF-8.</summary>
    public required long ByteCount { get; init; }

    /// <summary>Gets the token ids that a learned tokenizer may have at most; another tokenizer's own are not counted here.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Gets the width of the network.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Gets the number of decoder blocks.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Gets the number of attention heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Gets the longest text in tokens that training sees at once.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Gets the tokens that the short convolutions see, the present one included; 0 where there are none.</summary>
    public int ConvolutionSize { get; init; }

    /// <summary>Gets whether heads have forget gates in place of windows.</summary>
    public bool UseForgetGates { get; init; }

    /// <summary>Gets the values of each of the two vectors per head whose correlation is the focus; <see langword="null"/> for as many as a head has.</summary>
    public int? FocusSize { get; init; }

    /// <summary>Gets the contexts of tokens that go through the network at once.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Gets the passes over the training texts. Where <see cref="TrainingOptions.MaximumSteps"/> took their place, those that would have been
    /// made without it; <see cref="LeapLanguageModelTransformer.History"/> tells the steps that were taken.</summary>
    public required int Epochs { get; init; }

    /// <summary>Gets how gradients change the weights.</summary>
    public TrainingOptimizer Optimizer { get; init; }

    /// <summary>Gets the highest learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Gets the warmup as a ratio of the planned steps.</summary>
    public required double WarmupRatio { get; init; }

    /// <summary>Gets the weight decay.</summary>
    public double WeightDecay { get; init; } = OldWeightDecay;

    /// <summary>Gets the probability of dropping a value while training.</summary>
    public required double Dropout { get; init; }

    /// <summary>Gets the megabytes that the counted n-grams may take in memory; 0 for none.</summary>
    public required double MemoryMegabytes { get; init; }

    /// <summary>Gets the part of the rows that is set aside for validation.</summary>
    public required double ValidationFraction { get; init; }

    /// <summary>Gets the evaluations in a row without improvement after which the run ends; <see langword="null"/> for never.</summary>
    public required int? EarlyStoppingPatience { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Describe(maximumSteps: null);

    /// <summary>Describes the recipe of a run in one line.</summary>
    /// <param name="maximumSteps">The steps that take the place of its epochs; null for none.</param>
    internal string Describe(int? maximumSteps) => string.Create(
        CultureInfo.InvariantCulture,
        $"{RowCount:N0} rows of {ByteCount:N0} bytes: vocabulary of up to {VocabularySize:N0}, {LayerCount} layers, hidden size {HiddenSize}, " +
        $"{HeadCount} heads, context {ContextLength:N0}, {(UseForgetGates ? "forget gates" : "no forget gates")}, convolutions of {ConvolutionSize}, " +
        $"{(FocusSize is int focus ? $"focus of {focus}, " : "")}batch {BatchSize}, {(maximumSteps is int steps ? $"{steps:N0} steps" : $"{Epochs} epochs")}, " +
        $"{Optimizer} with a learning rate of {LearningRate}, warmup {WarmupRatio}, weight decay {WeightDecay}, " +
        $"dropout {Dropout}, memory of up to {MemoryMegabytes} MB, {ValidationFraction:P1} held out" +
        $"{(EarlyStoppingPatience is int patience ? $", early stopping after {patience} evaluations without improvement" : "")}");

    /// <summary>Chooses what the options leave open.</summary>
    /// <param name="options">The options; what they set stays.</param>
    /// <param name="rowCount">Rows that hold text.</param>
    /// <param name="byteCount">Their bytes in UTF-8.</param>
    /// <param name="hasValidationData">Whether the validation texts are given, so that nothing need be held out.</param>
    internal static TrainingRecipe Choose(LeapLanguageModelTrainer.Options options, int rowCount, long byteCount, bool hasValidationData)
    {
        Size size = Sizes.First(size => byteCount <= size.MaximumBytes);
        bool chooses = options.ValidationFraction is null && !hasValidationData && rowCount >= LeastRows;
        double chosenFraction = chooses ? Math.Clamp(HeldOutPart * rowCount, LeastRowsHeldOut, MostRowsHeldOut) / rowCount : 0;
        int hiddenSize = options.HiddenSize ?? size.HiddenSize;
        int headCount = options.HeadCount ?? ChooseHeadCount(hiddenSize);
        int epochs = options.Epochs ?? size.Epochs;
        return new TrainingRecipe
        {
            RowCount = rowCount,
            ByteCount = byteCount,
            VocabularySize = size.VocabularySize,
            HiddenSize = hiddenSize,
            LayerCount = options.LayerCount ?? options.WindowSizes?.Length ?? size.LayerCount,
            HeadCount = headCount,
            ContextLength = options.ContextLength ?? DefaultContextLength,
            ConvolutionSize = options.ConvolutionSize ?? DefaultConvolutionSize,
            FocusSize = options.FocusSize ?? (hiddenSize > headCount * (long)DefaultFocusSize ? DefaultFocusSize : null),
            UseForgetGates = options.UseForgetGates ?? (options.UseLocalAttention && options.WindowSizes is null),
            BatchSize = options.BatchSize ?? size.BatchSize,
            Epochs = epochs,
            Optimizer = options.Optimizer ?? TrainingOptimizer.Muon,
            LearningRate = options.LearningRate ?? size.LearningRate,
            WarmupRatio = options.WarmupRatio ?? (options.WarmupSteps > 0 ? 0 : DefaultWarmupRatio),
            WeightDecay = options.WeightDecay ?? size.WeightDecay,
            Dropout = options.Dropout ?? size.Dropout,
            MemoryMegabytes = options.MemoryMegabytes ?? DefaultMemoryMegabytes,
            ValidationFraction = options.ValidationFraction ?? chosenFraction,
            EarlyStoppingPatience = options.EarlyStoppingPatience ?? (chooses ? ChoosePatience(epochs) : null),
        };
    }

    /// <summary>Takes fewer epochs, if the options leave them open, where the texts have so many tokens that the training would take too
    /// long.</summary>
    /// <param name="options">The options.</param>
    /// <param name="tokens">Tokens of the training rows.</param>
    internal TrainingRecipe LimitEpochs(LeapLanguageModelTrainer.Options options, long tokens)
    {
        double most = Math.Max(TokensToRead, TokensToReadPerByte * ByteCount);
        int epochs = (int)Math.Clamp(most / Math.Max(1, tokens), 1, Epochs);
        if (options.Epochs is not null || epochs == Epochs)
            return this;
        bool chosePatience = EarlyStoppingPatience is not null && options.EarlyStoppingPatience is null;
        return this with { Epochs = epochs, EarlyStoppingPatience = chosePatience ? ChoosePatience(epochs) : EarlyStoppingPatience };
    }

    /// <summary>Gives a copy of the options in which none is open that the recipe decides.</summary>
    /// <param name="options">The options that it was chosen for.</param>
    internal LeapLanguageModelTrainer.Options Fill(LeapLanguageModelTrainer.Options options)
    {
        LeapLanguageModelTrainer.Options filled = options.Copy();
        filled.HiddenSize = HiddenSize;
        filled.LayerCount = LayerCount;
        filled.HeadCount = HeadCount;
        filled.ContextLength = ContextLength;
        filled.ConvolutionSize = ConvolutionSize;
        filled.UseForgetGates = UseForgetGates;
        filled.FocusSize = FocusSize;
        filled.BatchSize = BatchSize;
        filled.Epochs = Epochs;
        filled.Optimizer = Optimizer;
        filled.LearningRate = LearningRate;
        filled.WarmupRatio = WarmupRatio;
        filled.WeightDecay = WeightDecay;
        filled.Dropout = Dropout;
        filled.EarlyStoppingPatience = EarlyStoppingPatience;
        return filled;
    }

    private static int ChoosePatience(int epochs) => Math.Max(LeastPatience, epochs / PatienceShare);

    // As many as fit, halved until they do, with at least 2 values each.
    private static int ChooseHeadCount(int hiddenSize)
    {
        int heads = LeapConfig.DefaultHeadCount;
        while (heads > 1 && (hiddenSize % heads != 0 || hiddenSize / heads < 2))
            heads /= 2;
        return heads;
    }

    private sealed record Size(
        long MaximumBytes, int VocabularySize, int LayerCount, int BatchSize, int Epochs, double LearningRate, double WeightDecay, double Dropout = 0,
        int HiddenSize = LeapConfig.DefaultHiddenSize);
}
