using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>The shape of a LEAP network: sizes, windows and regularisation. Immutable, and therefore thread-safe.</summary>
/// <remarks>Every constructed instance is valid; what a network of this shape costs in memory follows from
/// <see cref="ParameterCount"/>.</remarks>
public sealed class LeapConfig
{
    // The original's notebook: defaults of the constructor, and of training where no other suits it better.
    internal const int DefaultVocabularySize = 32_100;
    internal const int DefaultHiddenSize = 128;
    internal const int DefaultContextLength = 2048;
    internal const int DefaultLayerCount = 6;
    internal const int DefaultHeadCount = 4;
    internal const double DefaultRescaleValue = 8;
    internal const double DefaultDropout = 0.1;
    internal const double DefaultInitializerRange = 0.02;

    // What forget logits are scaled by (docs/research.md says why); and that of the slowest head where a token's
    // projections say nothing: half of what was is left after about a hundred tokens.
    internal const float ForgetGain = 3;
    internal const float SlowestForgetLogit = 5;

    internal const double MaximumRescaleValue = 30;
    internal const double MaximumFocusLogit = 60;

    // Longer rows are few, and a GPU has to hold one at once.
    private const int LeastReadingLength = 8192;

    // What a text's state keeps, in MiB: the rows of all windows.
    private const int DefaultWindowMegabytes = 256;
    internal const string WindowMegabytesName = "Microsoft.ML.Leap.MaximumWindowMegabytes";

    // Each text's state keeps the rows that they see; attention reaches further at no cost.
    internal const int MaximumConvolutionSize = 16;

    // Far above any use, and low enough that no count of parameters or bytes overflows 64 bits.
    internal const int MaximumHiddenSize = 1 << 20;

    // Beyond any network that trains, and few enough that a list of windows is short.
    internal const int MaximumLayerCount = 4096;

    /// <summary>Creates a configuration.</summary>
    /// <param name="vocabularySize">Number of token ids, V. At least 1.</param>
    /// <param name="hiddenSize">Width of the network, d. A multiple of <paramref name="headCount"/>, with at least 2 per head; at most 1,048,576.</param>
    /// <param name="contextLength">Longest sequence in tokens, N; one learned position embedding each. At least 1.</param>
    /// <param name="layerCount">Number of decoder blocks, L. At least 1, at most 4,096.</param>
    /// <param name="headCount">Number of attention heads, H. At least 1.</param>
    /// <param name="useLocalAttention">Whether layers attend within windows; otherwise every layer attends to all that came before.</param>
    /// <param name="windowSizes">One window per layer, in tokens, each at least 1; <see langword="null"/> for 4, 8, 16, ... with the last
    /// layer global. Only with <paramref name="useLocalAttention"/>. A state keeps a row of d numbers per token of each window that is not global, each head's
    /// filled up to a multiple of 8 and with one more beside them: 256 MiB at most.</param>
    /// <param name="rescaleValue">Bound of the focus logits before dropout: over 0, at most 30, and at most 60 x (1 - dropout).</param>
    /// <param name="dropout">Probability of dropping a value while training: at least 0, below 1.</param>
    /// <param name="initializerRange">Standard deviation of initial weights: over 0, finite.</param>
    /// <param name="usePositionEmbeddings">Whether each position has a learned vector. Without, order comes from the nested windows alone, and
    /// a text may go on past <paramref name="contextLength"/> for ever.</param>
    /// <param name="convolutionSize">Tokens that the short convolutions before the projections and before the feed-forward part see, the present one
    /// included: at most 16; 0 for none.</param>
    /// <param name="useForgetGates">Whether each head has a forget gate in place of a window: all tokens before count, each less by what the gates of the
    /// tokens after it forget. Without <paramref name="windowSizes"/>; <paramref name="useLocalAttention"/> then changes nothing.</param>
    /// <param name="focusSize">Values of each of the two vectors per head whose correlation is the focus, r: at least 2, at most those of a head, e;
    /// <see langword="null"/> for as many. What fewer save of weights, the feed-forward part has more: its width is 4 d + H (e - r).</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">Values do not fit together.</exception>
    public LeapConfig(
        int vocabularySize,
        int hiddenSize = DefaultHiddenSize,
        int contextLength = DefaultContextLength,
        int layerCount = DefaultLayerCount,
        int headCount = DefaultHeadCount,
        bool useLocalAttention = true,
        IReadOnlyList<int>? windowSizes = null,
        double rescaleValue = DefaultRescaleValue,
        double dropout = DefaultDropout,
        double initializerRange = DefaultInitializerRange,
        bool usePositionEmbeddings = true,
        int convolutionSize = 0,
        bool useForgetGates = false,
        int? focusSize = null)
    {
        RequirePositive(vocabularySize, nameof(vocabularySize));
        RequireRange(hiddenSize is >= 1 and <= MaximumHiddenSize, nameof(hiddenSize), hiddenSize, $"at least 1 and at most {MaximumHiddenSize}");
        RequirePositive(contextLength, nameof(contextLength));
        RequireRange(layerCount is >= 1 and <= MaximumLayerCount, nameof(layerCount), layerCount, $"at least 1 and at most {MaximumLayerCount}");
        RequirePositive(headCount, nameof(headCount));
        RequireHeadsFit(hiddenSize, headCount);
        RequireRange(dropout >= 0 && dropout < 1, nameof(dropout), dropout, "at least 0 and below 1");
        RequireRange(initializerRange > 0 && double.IsFinite(initializerRange), nameof(initializerRange), initializerRange, "over 0 and finite");
        RequireRescaleFits(rescaleValue, dropout);
        RequireRange(
            convolutionSize is >= 0 and <= MaximumConvolutionSize,
            nameof(convolutionSize), convolutionSize, $"at least 0 and at most {MaximumConvolutionSize}");

        VocabularySize = vocabularySize;
        HiddenSize = hiddenSize;
        ContextLength = contextLength;
        LayerCount = layerCount;
        HeadCount = headCount;
        UseForgetGates = useForgetGates;
        UseLocalAttention = useLocalAttention && !useForgetGates;
        ReadingLength = useForgetGates && !usePositionEmbeddings ? Math.Max(contextLength, LeastReadingLength) : contextLength;
        WindowSizes = Array.AsReadOnly(ResolveWindows(windowSizes, useLocalAttention, useForgetGates, layerCount, ReadingLength));
        RequireWindowsFit(WindowSizes, contextLength, hiddenSize / headCount, headCount);
        RescaleValue = rescaleValue;
        Dropout = dropout;
        InitializerRange = initializerRange;
        UsePositionEmbeddings = usePositionEmbeddings;
        ConvolutionSize = convolutionSize;
        FocusSize = focusSize ?? HeadSize;
        RequireRange(FocusSize >= 2 && FocusSize <= HeadSize, nameof(focusSize), FocusSize, $"at least 2 and at most the {HeadSize} values of a head");
    }

    /// <summary>Gets the number of token ids, V.</summary>
    public int VocabularySize { get; }

    /// <summary>Gets the width of the network, d.</summary>
    public int HiddenSize { get; }

    /// <summary>Gets the longest sequence in tokens that training sees, N.</summary>
    public int ContextLength { get; }

    /// <summary>Gets the longest sequence in tokens that scoring, embedding and explaining read at once: <see cref="ContextLength"/>, and at least 8,192 with
    /// forget gates and without position embeddings, which know no place in a text.</summary>
    public int ReadingLength { get; }

    /// <summary>Gets the number of decoder blocks, L.</summary>
    public int LayerCount { get; }

    /// <summary>Gets the number of attention heads, H.</summary>
    public int HeadCount { get; }

    /// <summary>Gets whether layers attend within <see cref="WindowSizes"/>; otherwise each is global.</summary>
    public bool UseLocalAttention { get; }

    /// <summary>Gets whether each head has a forget gate; every layer is global then.</summary>
    public bool UseForgetGates { get; }

    /// <summary>Gets the window of each layer in tokens; a window of <see cref="ContextLength"/> or more is global.</summary>
    public IReadOnlyList<int> WindowSizes { get; }

    /// <summary>Gets the bound of the focus logits before dropout.</summary>
    public double RescaleValue { get; }

    /// <summary>Gets the probability of dropping a value while training.</summary>
    public double Dropout { get; }

    /// <summary>Gets the standard deviation of initial weights.</summary>
    public double InitializerRange { get; }

    /// <summary>Gets whether each position up to <see cref="ContextLength"/> has a learned vector.</summary>
    public bool UsePositionEmbeddings { get; }

    /// <summary>Gets the tokens that the short convolutions see, the present one included; 0 where there are none.</summary>
    public int ConvolutionSize { get; }

    /// <summary>Gets the values of each of the two vectors per head whose correlation is the focus, r; <see cref="HeadSize"/> in the original's
    /// form.</summary>
    public int FocusSize { get; }

    /// <summary>Gets the values per token in Q, F1, F2 and U together.</summary>
    internal int ProjectionsSize => 2 * HeadCount * (HeadSize + FocusSize);

    /// <summary>Gets the width of the feed-forward part: whatever the focus takes, a block has the same number of weights.</summary>
    internal int FeedForwardSize => 4 * HiddenSize + HeadCount * (HeadSize - FocusSize);

    /// <summary>Gives the forget logits per head where a token's projections say nothing, in even steps from 0: a logit of 0 halves what came before, per
    /// token. Null where there are no forget gates.</summary>
    internal float[]? GetForgetOffsets() => !UseForgetGates ? null
        : [.. Enumerable.Range(0, HeadCount).Select(head => SlowestForgetLogit * (HeadCount == 1 ? 1 : head / (HeadCount - 1f)))];

    /// <summary>Gets the width of one head, e = d / H.</summary>
    public int HeadSize => HiddenSize / HeadCount;

    /// <summary>Gets the number of trained values; the tied output matrix counts once.</summary>
    public long ParameterCount
    {
        get
        {
            long d = HiddenSize;
            long block = 4 * d + ProjectionsSize * d + 2 * FeedForwardSize * d + 2 * ConvolutionSize * d;
            long positions = UsePositionEmbeddings ? ContextLength : 0;
            return (VocabularySize + positions) * d + VocabularySize + LayerCount * block + 2 * d;
        }
    }

    /// <summary>Creates the configuration of the original network of 2022: with learned positions, and without anything that came later.</summary>
    /// <param name="vocabularySize">Number of token ids, V. At least 1.</param>
    /// <param name="hiddenSize">Width of the network, d. A multiple of <paramref name="headCount"/>, with at least 2 per head; at most 1,048,576.</param>
    /// <param name="contextLength">Longest sequence in tokens, N; one learned position embedding each. At least 1.</param>
    /// <param name="layerCount">Number of decoder blocks, L. At least 1, at most 4,096.</param>
    /// <param name="headCount">Number of attention heads, H. At least 1.</param>
    /// <param name="windowSizes">One window per layer, in tokens, each at least 1; <see langword="null"/> for 4, 8, 16, ... with the last
    /// layer global.</param>
    /// <param name="dropout">Probability of dropping a value while training: at least 0, below 1.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">Values do not fit together.</exception>
    public static LeapConfig Original(
        int vocabularySize,
        int hiddenSize = 128,
        int contextLength = 2048,
        int layerCount = 6,
        int headCount = 4,
        IReadOnlyList<int>? windowSizes = null,
        double dropout = 0.1) =>
        new(vocabularySize, hiddenSize, contextLength, layerCount, headCount, windowSizes: windowSizes, dropout: dropout);

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"LEAP: {LayerCount} layers, hidden size {HiddenSize}, {HeadCount} heads, context {ContextLength}, vocabulary {VocabularySize}, " +
        $"{(UseForgetGates ? "forget gates" : $"windows {string.Join(' ', WindowSizes)}")}, {(UsePositionEmbeddings ? "" : "no position embeddings, ")}" +
        $"{(ConvolutionSize == 0 ? "" : $"convolutions of {ConvolutionSize}, ")}{(FocusSize == HeadSize ? "" : $"focus of {FocusSize}, ")}" +
        $"{ParameterCount:N0} parameters");

    private static void RequirePositive(int value, string name) =>
        RequireRange(value >= 1, name, value, "at least 1");

    private static void RequireRange(bool condition, string name, object value, string expected)
    {
        if (!condition)
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be {expected}.");
    }

    private static void RequireHeadsFit(int hiddenSize, int headCount)
    {
        if (hiddenSize % headCount != 0)
        {
            throw new ArgumentException(
                $"hiddenSize must be a multiple of headCount, but {hiddenSize} is not a multiple of {headCount}.", nameof(hiddenSize));
        }

        if (hiddenSize / headCount < 2)
        {
            throw new ArgumentException(
                $"A head needs at least 2 values, but hiddenSize {hiddenSize} over {headCount} heads leaves {hiddenSize / headCount}.",
                nameof(headCount));
        }
    }

    private static void RequireRescaleFits(double rescaleValue, double dropout)
    {
        RequireRange(
            rescaleValue > 0 && rescaleValue <= MaximumRescaleValue, nameof(rescaleValue), rescaleValue, $"over 0 and at most {MaximumRescaleValue}");

        // Dropout scales what it keeps by 1 / (1 - dropout), and the focus logits with it; past exp(60) single precision ends.
        double bound = MaximumFocusLogit * (1 - dropout);
        if (rescaleValue <= bound)
            return;
        RequireRange(
            false,
            nameof(rescaleValue),
            rescaleValue,
            string.Create(CultureInfo.InvariantCulture, $"at most {bound:0.###}, which is 60 x (1 - dropout), with a dropout of {dropout}"));
    }

    private static int[] ResolveWindows(
        IReadOnlyList<int>? windowSizes, bool useLocalAttention, bool useForgetGates, int layerCount, int readingLength)
    {
        if (!useLocalAttention || useForgetGates)
        {
            if (windowSizes is not null && useForgetGates)
                throw new ArgumentException("windowSizes were given, but useForgetGates is true; leave one of them out.", nameof(windowSizes));
            if (windowSizes is not null)
                throw new ArgumentException("windowSizes were given, but useLocalAttention is false; leave one of them out.", nameof(windowSizes));
            int[] global = new int[layerCount];
            Array.Fill(global, readingLength);
            return global;
        }

        if (windowSizes is null)
        {
            int[] windows = new int[layerCount];
            for (int l = 0; l < layerCount; l++)
                windows[l] = l == layerCount - 1 ? readingLength : DefaultWindow(l, readingLength);
            return windows;
        }

        if (windowSizes.Count != layerCount)
        {
            throw new ArgumentException(
                $"windowSizes must name one window per layer, {layerCount} in all, but {windowSizes.Count} were given.", nameof(windowSizes));
        }

        foreach (int window in windowSizes)
            RequireRange(window >= 1, nameof(windowSizes), window, "at least 1 each");
        return [.. windowSizes];
    }

    private static void RequireWindowsFit(IReadOnlyList<int> windowSizes, int contextLength, int headSize, int headCount)
    {
        double tokens = windowSizes.Where(window => window < contextLength).Sum(window => (double)window);
        double megabytes = tokens * headCount * SlidingSumsLayout.GetMostBytesPerToken(headSize) / (1 << 20);
        int most = ReadMaximumWindowMegabytes();
        if (megabytes > most)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"windowSizes ask for {megabytes:0} MiB per text, a row per token of each window; ") +
                $"at most {most} are possible. Windows of the whole context need none; the value {WindowMegabytesName} of AppContext raises the limit.",
                nameof(windowSizes));
        }
    }

    // A whole number where a program sets it, a text where runtimeconfig.json does.
    private static int ReadMaximumWindowMegabytes() => AppContext.GetData(WindowMegabytesName) switch
    {
        int value => value,
        string text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) => value,
        _ => DefaultWindowMegabytes,
    };

    private static int DefaultWindow(int layer, int contextLength) =>
        layer >= 28 ? contextLength : Math.Min(4 << layer, contextLength);
}
