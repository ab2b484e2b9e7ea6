using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Leap;

public sealed partial class LeapLanguageModelTrainer
{
    /// <summary>All settings of <see cref="LeapLanguageModelTrainer"/>. The trainer copies them when it is made and never writes to
    /// them.</summary>
    public sealed class Options : TrainingOptions
    {
        // What each worker of a group may have of its own: its columns, its machine, and what the group decides.
        private static readonly HashSet<string> OptionsOfOneWorker =
        [
            .. RunFingerprint.OptionsThatDecideNoStep,
            nameof(TextColumnName), nameof(LogLikelihoodColumnName),
            nameof(TokenCountColumnName), nameof(PerplexityColumnName),
            nameof(GeneratedTextColumnName), nameof(TokensColumnName),
            nameof(FocusWeightsColumnName), nameof(TokenLogLikelihoodsColumnName),
            nameof(EmbeddingColumnName), nameof(Embedding),
            nameof(Generation), nameof(ScoringTokensPerBatch),
            nameof(MaximumCorpusMemory), nameof(Device),
            nameof(FallbackToCpu), nameof(Precision), nameof(Seed),
            nameof(EvaluationInterval), nameof(KeepBestModel), nameof(EarlyStoppingPatience),
            nameof(EarlyStoppingImprovement),
        ];

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
        /// of Single, as <see cref="LeapLanguageModel.Embed(string, EmbeddingOptions?)"/> gives it; NaN for a row without text.</value>
        public string? EmbeddingColumnName;

        /// <summary>How the vectors of a text's tokens become the one of <see cref="EmbeddingColumnName"/>.</summary>
        /// <value><see cref="EmbeddingPooling.Mean"/> by default.</value>
        public EmbeddingPooling Embedding = EmbeddingPooling.Mean;

        /// <summary>How <see cref="GeneratedTextColumnName"/> continues the texts, and calls that name no options.</summary>
        /// <value>The defaults of <see cref="GenerationOptions"/>, but for <see cref="PositionPolicy.Restart"/>: one long row must not end a
        /// pipeline with an exception.</value>
        public GenerationOptions Generation = new() { PositionPolicy = PositionPolicy.Restart };

        /// <summary>A model to train further, on the texts given to the trainer.</summary>
        /// <value><see langword="null"/>, the default, trains a new model. The given one stays as it is, must not be disposed before the
        /// training has begun, and passes on its weights, tokenizer and <see cref="LeapLanguageModelTransformer.Config"/>: the options
        /// that describe these, from <see cref="Tokenizer"/> and <see cref="HiddenSize"/> to <see cref="Dropout"/>, are not looked at. All others
        /// are this run's own; AdamW starts anew.</value>
        public LeapLanguageModelTransformer? InitialModel;

        /// <summary>The tokenizer.</summary>
        /// <value><see langword="null"/>, the default, for bytes where there is little text, else for a byte-level BPE that is learned from the
        /// training texts, with a vocabulary that suits their amount.</value>
        public TokenizerOptions? Tokenizer;

        /// <summary>Width of the network.</summary>
        /// <value>A multiple of <see cref="HeadCount"/>, at least 2 per head, at most 1,048,576; <see langword="null"/>, the default, for 128, or 192
        /// from 0.3 MB of text on. Time and memory grow with its square.</value>
        public int? HiddenSize;

        /// <summary>Longest text in tokens that training sees at once; longer ones are cut.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, for 256. How much scoring reads at once is
        /// <see cref="LeapConfig.ReadingLength"/>. Time per token does not depend on either.</value>
        public int? ContextLength;

        /// <summary>Whether each position of the context has a learned vector.</summary>
        /// <value><see langword="false"/> by default: order comes from convolutions, forget gates or nested windows, and a text may be generated past
        /// <see cref="ContextLength"/> without end. <see langword="true"/> is the original's form.</value>
        public bool UsePositionEmbeddings;

        /// <summary>Tokens that the short convolutions of each layer see, the present one included.</summary>
        /// <value>At least 0, for none, which is the original's form, and at most 16; <see langword="null"/>, the default, for 4.</value>
        public int? ConvolutionSize;

        /// <summary>Number of decoder blocks.</summary>
        /// <value>At least 1, at most 4,096; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public int? LayerCount;

        /// <summary>Number of attention heads.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, for 4, or as many as <see cref="HiddenSize"/> divides into.</value>
        public int? HeadCount;

        /// <summary>Whether heads have forget gates in place of windows: each token decides how much still counts of what came before it.</summary>
        /// <value><see langword="null"/>, the default, for <see langword="true"/> unless <see cref="WindowSizes"/> are given or
        /// <see cref="UseLocalAttention"/> is <see langword="false"/>; <see langword="false"/> is the original's form.</value>
        public bool? UseForgetGates;

        /// <summary>Values of each of the two vectors per head whose correlation is the focus weight of a token. What fewer save of weights, the
        /// feed-forward part of each layer has more.</summary>
        /// <value>At least 2, at most <see cref="HiddenSize"/> / <see cref="HeadCount"/>, which is the original's form; <see langword="null"/>, the
        /// default, for 8, or as many as a head has.</value>
        public int? FocusSize;

        /// <summary>Whether layers attend within windows where there are no forget gates.</summary>
        /// <value><see langword="true"/> by default; otherwise every layer is global.</value>
        public bool UseLocalAttention = true;

        /// <summary>Window of each layer in tokens, where there are no forget gates.</summary>
        /// <value><see langword="null"/>, the default, for 4, 8, 16, ... with the last layer global; else one window of at least 1 per
        /// layer, only with <see cref="UseLocalAttention"/> and without <see cref="UseForgetGates"/>.</value>
        public int[]? WindowSizes;

        /// <summary>Bound of the focus logits. Lower it when the loss is not a number.</summary>
        /// <value>Over 0, at most 30, and at most 60 x (1 - <see cref="Dropout"/>); 8 by default.</value>
        public double RescaleValue = LeapConfig.DefaultRescaleValue;

        /// <summary>Probability of dropping a value while training.</summary>
        /// <value>At least 0, below 1; <see langword="null"/>, the default, chooses by the amount of text.</value>
        public double? Dropout;

        /// <summary>Standard deviation of initial weights.</summary>
        /// <value>Over 0; 0.02 by default.</value>
        public double InitializerRange = LeapConfig.DefaultInitializerRange;

        /// <summary>How the training texts are laid out for the network.</summary>
        /// <value><see cref="TrainingLayout.Rows"/> by default.</value>
        public TrainingLayout Layout = TrainingLayout.Rows;

        /// <summary>The part of the training texts that is set aside for validation when no validation data are given.</summary>
        /// <value>At least 0, for none, below 1. Whole texts are drawn by <see cref="TrainingOptions.Seed"/>, at least one and never all; the tokenizer does
        /// not learn from them. <see langword="null"/>, the default, holds out 3 %, from 10 to 500 rows, of at least 100, and
        /// none of fewer.</value>
        public double? ValidationFraction;

        /// <summary>The size of the model's memory: n-grams that are counted in the training texts, and predict beside the network. With it, what a
        /// text itself said before counts too.</summary>
        /// <value>Megabytes, in memory, at least 0; <see langword="null"/>, the default, for 64. Where the texts have more n-grams, the rarest are
        /// left out. 0 for the network alone, as the original is.</value>
        public double? MemoryMegabytes;

        /// <summary>Bytes of token ids that stay in memory while training, for training and validation texts each.</summary>
        /// <value>At least 0; 1 GiB by default, half a billion ids of a vocabulary of up to 65,536, each 2 bytes, or half as many of a greater
        /// one, each 4. A greater corpus goes into a memory-mapped file in <see cref="MLContext.TempFilePath"/> that is deleted when the training
        /// ends. The model does not depend on it.</value>
        public long MaximumCorpusMemory = 1L << 30;

        /// <summary>Tokens that a GPU scores in one batch; the CPU does not look at it.</summary>
        /// <value>At least 1; 2,048 by default. More use more of the GPU's memory; scores do not depend on it.</value>
        public int ScoringTokensPerBatch = 2048;

        /// <summary>The device to train and score on.</summary>
        /// <value>"cpu", "cuda" or "cuda:1"; <see langword="null"/>, the default, follows <see cref="MLContext.GpuDeviceId"/>, then takes a GPU
        /// when there is one, else the CPU. It is never saved with the model.</value>
        public string? Device;

        /// <summary>Whether to go on on the CPU, with a warning, when the GPU that was asked for is absent.</summary>
        /// <value><see langword="null"/>, the default, follows <see cref="MLContext.FallbackToCpu"/>.</value>
        public bool? FallbackToCpu;

        /// <summary>Describes what trainers that train one model together must have in common, by name.</summary>
        internal Dictionary<string, string> DescribeShared()
        {
            var entries = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (FieldInfo option in GetType().GetFields().Where(field => !OptionsOfOneWorker.Contains(field.Name)))
            {
                entries[option.Name] = option.GetValue(this) switch
                {
                    null => "not set",
                    int[] values => string.Join(", ", values),
                    LeapLanguageModelTransformer model => RunFingerprint.Describe(model.Config),
                    object value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
                };
            }

            return entries;
        }

        internal Options Copy()
        {
            var copy = (Options)MemberwiseClone();
            copy.WindowSizes = (int[]?)WindowSizes?.Clone();
            return copy;
        }

        internal override void Validate()
        {
            ArgumentNullException.ThrowIfNull(Generation, nameof(Generation));
            Require(ScoringTokensPerBatch >= 1, nameof(ScoringTokensPerBatch), ScoringTokensPerBatch, "at least 1");
            MakeScoringSettings(generationSeed: 0).RequireValid();
            base.Validate();
            Require(Enum.IsDefined(Layout), nameof(Layout), Layout, "a value of TrainingLayout");
            Require(ValidationFraction is null or (>= 0 and < 1), nameof(ValidationFraction), ValidationFraction ?? 0, "at least 0 and below 1");
            Require(
                MemoryMegabytes is null || (MemoryMegabytes >= 0 && double.IsFinite(MemoryMegabytes.Value)),
                nameof(MemoryMegabytes), MemoryMegabytes ?? 0, "at least 0 and finite");
            Require(MaximumCorpusMemory >= 0, nameof(MaximumCorpusMemory), MaximumCorpusMemory, "at least 0");

            // The rest is the network's to judge; its vocabulary is known only when the tokenizer is.
            MakeScoringSettings(generationSeed: 0).RequireFits(InitialModel?.Config ?? TrainingRecipe.Choose(this, 0, 0, false).Fill(this).MakeConfig(vocabularySize: 1));
        }

        // The options must be those that a recipe has filled.
        internal LeapConfig MakeConfig(int vocabularySize) => new(
            vocabularySize, HiddenSize!.Value, ContextLength!.Value, LayerCount!.Value, HeadCount!.Value, UseLocalAttention, WindowSizes,
            RescaleValue, Dropout!.Value, InitializerRange, UsePositionEmbeddings, ConvolutionSize!.Value, UseForgetGates!.Value,
            FocusSize);

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
    }
}
