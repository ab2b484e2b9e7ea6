namespace Microsoft.ML.Leap;

public sealed partial class LeapLanguageModelTrainer
{
    /// <summary>All settings of <see cref="LeapLanguageModelTrainer"/>. The trainer copies them when it is made and never writes to
    /// them.</summary>
    public sealed partial class Options
    {
        /// <summary>The column with the texts.</summary>
        /// <value>A scalar text column; "Text" by default. Each row is one document.</value>
        public string TextColumnName = "Text";

        /// <summary>The column that the transformer adds for the log-likelihood of a row's text.</summary>
        /// <value>"LogLikelihood" by default: Single, the sum over the row's tokens in nats.</value>
        public string LogLikelihoodColumnName = "LogLikelihood";

        /// <summary>The column that the transformer adds for the number of a row's tokens.</summary>
        /// <value>"TokenCount" by default: Int32.</value>
        public string TokenCountColumnName = "TokenCount";

        /// <summary>The column that the transformer adds for the perplexity of a row's text.</summary>
        /// <value>"Perplexity" by default: Single, exp(-log-likelihood / token count).</value>
        public string PerplexityColumnName = "Perplexity";

        /// <summary>The column that the transformer adds for a continuation of a row's text.</summary>
        /// <value><see langword="null"/>, the default, for none; else its name: Text, the added part alone.</value>
        public string? GeneratedTextColumnName;

        /// <summary>The column that the transformer adds for the tokens of a row's text.</summary>
        /// <value><see langword="null"/>, the default, for none; else its name, for example "Tokens": a variable vector of Text, as
        /// <see cref="LeapTokenizer.GetTokenText"/> gives them.</value>
        public string? TokensColumnName;

        /// <summary>The column that the transformer adds for what it focused on in a row's text.</summary>
        /// <value><see langword="null"/>, the default, for none; else its name, for example "FocusWeights": a variable vector of Single, for each
        /// token its focus over all layers and heads, as <see cref="FocusReport"/> defines it; at least 0. Needs a <see cref="ContextLength"/>
        /// of at least 2. In a row of <see cref="ContextLength"/> tokens or more, from the window in which the token is scored.</value>
        public string? FocusWeightsColumnName;

        /// <summary>The column that the transformer adds for how well each token of a row's text was predicted: which part of a row is
        /// odd.</summary>
        /// <value><see langword="null"/>, the default, for none; else its name, for example "TokenLogLikelihoods": a variable vector of Single, for
        /// each token its log-likelihood in nats, at most 0.</value>
        public string? TokenLogLikelihoodsColumnName;

        /// <summary>The column that the transformer adds for a vector that stands for a row's text, for classifiers, searches and
        /// clusterings.</summary>
        /// <value><see langword="null"/>, the default, for none; else its name, for example "Embedding": a vector of <see cref="HiddenSize"/> values
        /// of Single, as <see cref="LeapLanguageModel.Embed"/> gives it; NaN for a row without text.</value>
        public string? EmbeddingColumnName;

        /// <summary>How the vectors of a text's tokens become the one of <see cref="EmbeddingColumnName"/>.</summary>
        /// <value><see cref="EmbeddingPooling.Mean"/> by default.</value>
        public EmbeddingPooling Embedding = EmbeddingPooling.Mean;

        /// <summary>How <see cref="GeneratedTextColumnName"/> continues the texts, and calls that name no options.</summary>
        /// <value>The defaults of <see cref="GenerationOptions"/>, but for <see cref="PositionPolicy.Restart"/>: one long row must not end a
        /// pipeline with an exception.</value>
        public GenerationOptions Generation = new() { PositionPolicy = PositionPolicy.Restart };

        /// <summary>The tokenizer.</summary>
        /// <value><see langword="null"/>, the default, for a byte-level BPE that is learned from the training texts, with a vocabulary that
        /// suits their amount.</value>
        public TokenizerOptions? Tokenizer;

        /// <summary>Width of the network.</summary>
        /// <value>A multiple of <see cref="HeadCount"/>, at least 2 per head; <see langword="null"/>, the default, for 128. Time and memory
        /// grow with its square.</value>
        public int? HiddenSize;

        /// <summary>Longest text in tokens that the network sees at once.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, for 256. Longer texts are read in windows. Time per token does not depend
        /// on it.</value>
        public int? ContextLength;

        /// <summary>Whether each position of the context has a learned vector.</summary>
        /// <value><see langword="false"/> by default: order comes from the nested windows alone, and a text may be generated past
        /// <see cref="ContextLength"/> without end. <see langword="true"/> is the original's form.</value>
        public bool UsePositionEmbeddings;

        /// <summary>Tokens that the short convolutions of each layer see, the present one included.</summary>
        /// <value>At least 0, for none, which is the original's form, and at most 16; <see langword="null"/>, the default, for 4.</value>
        public int? ConvolutionSize;

        /// <summary>Number of decoder blocks.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public int? LayerCount;

        /// <summary>Number of attention heads.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, for 4, or as many as <see cref="HiddenSize"/> divides into.</value>
        public int? HeadCount;

        /// <summary>Whether layers attend within windows.</summary>
        /// <value><see langword="true"/> by default; otherwise every layer is global.</value>
        public bool UseLocalAttention = true;

        /// <summary>Window of each layer in tokens.</summary>
        /// <value><see langword="null"/>, the default, for 4, 8, 16, ... with the last layer global; else one window of at least 1 a layer, only
        /// with <see cref="UseLocalAttention"/>.</value>
        public int[]? WindowSizes;

        /// <summary>Bound of the focus logits. Lower it when the loss is not a number.</summary>
        /// <value>Over 0, at most 30, and at most 60 x (1 - <see cref="Dropout"/>); 8 by default.</value>
        public double RescaleValue = 8;

        /// <summary>Probability of dropping a value while training.</summary>
        /// <value>At least 0, below 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public double? Dropout;

        /// <summary>Standard deviation of initial weights.</summary>
        /// <value>Over 0; 0.02 by default.</value>
        public double InitializerRange = 0.02;

        /// <summary>Passes over the training texts.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public int? Epochs;

        /// <summary>How much text goes through the network at once: so many times <see cref="ContextLength"/> tokens, in rows of any
        /// length.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public int? BatchSize;

        /// <summary>How the training texts are laid out for the network.</summary>
        /// <value><see cref="TrainingLayout.Rows"/> by default.</value>
        public TrainingLayout Layout = TrainingLayout.Rows;

        /// <summary>Highest learning rate: that of the first step after the warmup, from where it follows <see cref="Schedule"/>.</summary>
        /// <value>Over 0; <see langword="null"/>, the default, for 2e-3.</value>
        public double? LearningRate;

        /// <summary>The part of each training target that a counted model of the training texts gives, instead of the one token that came
        /// next: the network learns what n-grams know, and learns little text by heart less.</summary>
        /// <value>At least 0, below 1; <see langword="null"/>, the default, chooses by the amount of text: much for little, none for much.
        /// 0 trains on the texts alone, as the original does. The <see cref="TrainingRecord.TrainingLoss"/> is then that of these
        /// targets.</value>
        public double? TargetSmoothing;

        /// <summary>AdamW's decay of the mean of gradients.</summary>
        /// <value>At least 0, below 1; 0.9 by default.</value>
        public double Beta1 = 0.9;

        /// <summary>AdamW's decay of the mean of squared gradients.</summary>
        /// <value>At least 0, below 1; 0.999 by default.</value>
        public double Beta2 = 0.999;

        /// <summary>AdamW's weight decay, applied to the matrices of the blocks, or to <see cref="DecayAllWeights">all weights</see>.</summary>
        /// <value>At least 0; 0.01 by default.</value>
        public double WeightDecay = 0.01;

        /// <summary>Gradients with a greater Euclidean norm are scaled down to it.</summary>
        /// <value>Over 0; 1 by default.</value>
        public double MaximumGradientNorm = 1;

        /// <summary>Seed of initial weights, shuffling and dropout.</summary>
        /// <value><see langword="null"/>, the default, draws it from the <see cref="MLContext"/>, whose own seed then decides. On a CPU the same
        /// seed, data and settings give the same model.</value>
        public int? Seed;

        /// <summary>The device to train and score on.</summary>
        /// <value>"cpu", "cuda" or "cuda:1"; <see langword="null"/>, the default, follows <see cref="MLContext.GpuDeviceId"/>, then takes a GPU
        /// when there is one, else the CPU. It is never saved with the model.</value>
        public string? Device;

        /// <summary>Whether to go on on the CPU, with a warning, when the GPU that was asked for is absent.</summary>
        /// <value><see langword="null"/>, the default, follows <see cref="MLContext.FallbackToCpu"/>.</value>
        public bool? FallbackToCpu;

        /// <summary>Tokens that are scored in one batch.</summary>
        /// <value>At least 1; 2,048 by default, which fit a processor's cache. More use more memory; scores do not depend on it.</value>
        public int ScoringTokensPerBatch = 2048;

        /// <summary>Bytes of token ids that stay in memory while training, for training and validation texts each.</summary>
        /// <value>At least 0; 1 GiB by default, half a billion ids of a vocabulary of up to 65,536, each 2 bytes, or half as many of a greater
        /// one, each 4. A greater corpus goes into a memory-mapped file in <see cref="MLContext.TempFilePath"/> that is deleted when the training
        /// ends. The model does not depend on it.</value>
        public long MaximumCorpusMemory = 1L << 30;

        /// <summary>Called after each optimizer step, on the thread that trains.</summary>
        /// <value><see langword="null"/> by default. An exception in it ends the training.</value>
        public Action<TrainingProgress>? Progress;

        /// <summary>Ends the training when cancelled, as <see cref="OnCancel"/> says. <c>MLContext.CancelExecution</c> does the same.</summary>
        public CancellationToken CancellationToken;

        internal Options Copy()
        {
            var copy = (Options)MemberwiseClone();
            copy.WindowSizes = (int[]?)WindowSizes?.Clone();
            return copy;
        }

        internal void Validate()
        {
            RequireName(TextColumnName, nameof(TextColumnName));
            RequireName(LogLikelihoodColumnName, nameof(LogLikelihoodColumnName));
            RequireName(TokenCountColumnName, nameof(TokenCountColumnName));
            RequireName(PerplexityColumnName, nameof(PerplexityColumnName));
            RequireOptionalName(GeneratedTextColumnName, nameof(GeneratedTextColumnName));
            RequireOptionalName(TokensColumnName, nameof(TokensColumnName));
            RequireOptionalName(FocusWeightsColumnName, nameof(FocusWeightsColumnName));
            RequireOptionalName(TokenLogLikelihoodsColumnName, nameof(TokenLogLikelihoodsColumnName));
            RequireOptionalName(EmbeddingColumnName, nameof(EmbeddingColumnName));
            Require(Enum.IsDefined(Embedding), nameof(Embedding), Embedding, "a value of EmbeddingPooling");
            RequireDistinctNames();
            ArgumentNullException.ThrowIfNull(Generation, nameof(Generation));
            Require(Epochs is null or >= 1, nameof(Epochs), Epochs ?? 0, "at least 1");
            Require(BatchSize is null or >= 1, nameof(BatchSize), BatchSize ?? 0, "at least 1");
            Require(Enum.IsDefined(Layout), nameof(Layout), Layout, "a value of TrainingLayout");
            Require(
                LearningRate is null || (LearningRate > 0 && double.IsFinite(LearningRate.Value)),
                nameof(LearningRate), LearningRate ?? 0, "over 0 and finite");
            Require(TargetSmoothing is null or (>= 0 and < 1), nameof(TargetSmoothing), TargetSmoothing ?? 0, "at least 0 and below 1");
            Require(Beta1 >= 0 && Beta1 < 1, nameof(Beta1), Beta1, "at least 0 and below 1");
            Require(Beta2 >= 0 && Beta2 < 1, nameof(Beta2), Beta2, "at least 0 and below 1");
            Require(WeightDecay >= 0 && double.IsFinite(WeightDecay), nameof(WeightDecay), WeightDecay, "at least 0 and finite");
            Require(
                MaximumGradientNorm > 0 && double.IsFinite(MaximumGradientNorm), nameof(MaximumGradientNorm), MaximumGradientNorm, "over 0 and finite");
            ValidateTraining();
            Require(MaximumCorpusMemory >= 0, nameof(MaximumCorpusMemory), MaximumCorpusMemory, "at least 0");
            Require(ScoringTokensPerBatch >= 1, nameof(ScoringTokensPerBatch), ScoringTokensPerBatch, "at least 1");

            // The rest is the network's to judge; its vocabulary is known only when the tokenizer is.
            MakeScoringSettings(generationSeed: 0).RequireFits(InitialModel?.Config ?? MakeConfig(TrainingRecipe.Choose(this, 0, 0, false), vocabularySize: 1));
        }

        internal LeapConfig MakeConfig(TrainingRecipe recipe, int vocabularySize) => new(
            vocabularySize, recipe.HiddenSize, recipe.ContextLength, recipe.LayerCount, recipe.HeadCount, UseLocalAttention, WindowSizes,
            RescaleValue, recipe.Dropout, InitializerRange, UsePositionEmbeddings, recipe.ConvolutionSize);

        internal ScoringSettings MakeScoringSettings(int generationSeed) => new()
        {
            TextColumnName = TextColumnName,
            LogLikelihoodColumnName = LogLikelihoodColumnName,
            TokenCountColumnName = TokenCountColumnName,
            PerplexityColumnName = PerplexityColumnName,
            GeneratedTextColumnName = GeneratedTextColumnName,
            TokensColumnName = TokensColumnName,
            FocusWeightsColumnName = FocusWeightsColumnName,
            TokenLogLikelihoodsColumnName = TokenLogLikelihoodsColumnName,
            EmbeddingColumnName = EmbeddingColumnName,
            Embedding = Embedding,
            TokensPerBatch = ScoringTokensPerBatch,
            Generation = Generation,
            GenerationSeed = generationSeed,
        };

        private static void RequireName(string? name, string field)
        {
            if (string.IsNullOrWhiteSpace(name))
                throw new ArgumentException($"{field} must be the name of a column, but it is empty.", field);
        }

        private static void RequireOptionalName(string? name, string field)
        {
            if (name is not null)
                RequireName(name, field);
        }

        private void RequireDistinctNames()
        {
            string?[] all =
            [
                LogLikelihoodColumnName, TokenCountColumnName, PerplexityColumnName,
                GeneratedTextColumnName, TokensColumnName, FocusWeightsColumnName, TokenLogLikelihoodsColumnName, EmbeddingColumnName,
            ];
            IEnumerable<string> names = all.OfType<string>();
            foreach (IGrouping<string, string> name in names.GroupBy(name => name).Where(group => group.Count() > 1))
                throw new ArgumentException($"Two added columns share the name '{name.Key}'; each needs its own.", nameof(LogLikelihoodColumnName));
        }

        private static void Require(bool condition, string field, object value, string expected)
        {
            if (!condition)
                throw new ArgumentOutOfRangeException(field, value, $"{field} must be {expected}.");
        }
    }
}
