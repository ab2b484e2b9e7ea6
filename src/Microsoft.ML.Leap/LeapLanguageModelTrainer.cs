using System.Globalization;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Trains a LEAP language model on a text column.</summary>
/// <remarks>
/// <para>Texts are turned into token ids, and each is read by itself, as it is scored later; the network learns to predict each token from
/// those before it, with Muon (Jordan 2024) or AdamW (Loshchilov and Hutter 2017), a learning rate that follows <see cref="TrainingOptions.Schedule"/>, and gradient
/// clipping. Settings that are left open follow from the amount of text: <see cref="LeapLanguageModelTransformer.Recipe"/> tells
/// them.</para>
/// <para>The input is read once, the part held out for validation included: its texts are kept while they are tokenized, in memory up to
/// <see cref="Options.MaximumCorpusMemory"/>, and beyond that in a temporary file.</para>
/// <para>A trainer is immutable; <see cref="Fit(IDataView)"/> may be called again and from several threads, and each call trains a new
/// model.</para>
/// </remarks>
public sealed partial class LeapLanguageModelTrainer : IEstimator<LeapLanguageModelTransformer>
{
    internal const double BytesPerMegabyte = 1 << 20;

    private const double MostRateFactor = 2;

    private readonly IHost _host;
    private readonly Options _options;

    /// <summary>Gets the trainers that train the model together with this one; null for none.</summary>
    internal TrainingGroup? Group { get; init; }

    internal LeapLanguageModelTrainer(IHostEnvironment environment, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options.Copy();
        _options.Validate();
        _host = environment.Register(nameof(LeapLanguageModelTrainer));
    }

    /// <summary>Trains a model.</summary>
    /// <param name="input">The training texts.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="input"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    /// <exception cref="InvalidOperationException">The column holds no text, a GPU that was asked for is absent, the native library cannot be
    /// loaded, the loss is no longer a number, the memory does not suffice, or the checkpoint folder belongs to another run.</exception>
    /// <exception cref="FormatException">A checkpoint is corrupt.</exception>
    /// <exception cref="ObjectDisposedException"><see cref="Options.InitialModel"/> is disposed.</exception>
    /// <exception cref="OperationCanceledException"><see cref="TrainingOptions.CancellationToken"/> or the <see cref="MLContext"/>
    /// was cancelled, and <see cref="TrainingOptions.OnCancel"/> does not ask for the best model so far.</exception>
    public LeapLanguageModelTransformer Fit(IDataView input) => Fit(input, null);

    /// <summary>Trains a model and measures the loss on validation texts, over all their tokens, as often as
    /// <see cref="TrainingOptions.EvaluationInterval"/> says.</summary>
    /// <param name="trainData">The training texts.</param>
    /// <param name="validationData">The validation texts, with the same text column; <see langword="null"/> for none.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    public LeapLanguageModelTransformer Fit(IDataView trainData, IDataView? validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        TextColumn.Check(trainData.Schema, _options.TextColumnName, nameof(trainData));
        if (validationData is not null)
            TextColumn.Check(validationData.Schema, _options.TextColumnName, nameof(validationData));

        if (_options.CheckpointFolder is string folder)
            CheckpointFolder.RequireUsable(folder);
        try
        {
            return Train(trainData, validationData);
        }
        catch (Exception exception) when (TrainingMemory.IsExhausted(exception))
        {
            throw new InvalidOperationException(
                "The memory does not suffice for this training. Use a smaller BatchSize, ContextLength, HiddenSize, LayerCount or vocabulary.", exception);
        }
    }

    private LeapLanguageModelTransformer Train(IDataView trainData, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Training");
        Device device = SelectDevice(channel);
        TrainingPlan? plan = Group?.Join();
        int seed = plan?.Seed ?? _options.Seed ?? _host.Rand.Next();

        using TrainingTexts texts = TrainingTexts.Read(ReadColumn(trainData), _options.MaximumCorpusMemory, HostSettings.Read(_host).TempFilePath);
        TrainingRecipe recipe = plan?.Recipe ?? ChooseRecipe(texts, validationData is not null);
        DocumentSplit? split = validationData is null && recipe.ValidationFraction > 0 ? Split(texts.Count, recipe.ValidationFraction, seed) : null;
        IEnumerable<ReadOnlyMemory<char>> all = texts.Enumerate(_options.CancellationToken);
        IEnumerable<ReadOnlyMemory<char>> trainingTexts = split is null ? all : split.Select(all, validation: false);
        IEnumerable<ReadOnlyMemory<char>>? validationTexts =
            validationData is not null ? ReadColumn(validationData).Where(text => !text.IsEmpty) : split?.Select(all, validation: true);
        if (recipe.EarlyStoppingPatience is not null && validationTexts is null)
            throw new InvalidOperationException("EarlyStoppingPatience needs validation data: give some to Fit, or set ValidationFraction.");

        LeapTokenizer tokenizer = plan?.Tokenizer ?? _options.InitialModel?.Tokenizer ?? (_options.Tokenizer ?? TokenizerOptions.ByteLevelBpe(recipe.VocabularySize))
            .Create(trainingTexts, _options.CancellationToken);
        using TokenizedCorpus training = Encode(trainingTexts, tokenizer, "training");
        using TokenizedCorpus? validation = validationTexts is null ? null : Encode(validationTexts, tokenizer, "validation");
        using TokenizedCorpus? part = Group is null or { HasOwnPartAlone: true }
            ? null
            : Encode(trainingTexts.Where(text => Group.Takes(text.Span)), tokenizer, "worker's part of the training");

        // Not while the training runs: it may take long, and their memory or file is free again.
        texts.Dispose();
        if (plan is null)
            recipe = recipe.LimitEpochs(_options, (training.Ids.Count - 1) * RowsPerRow);
        channel.Info(default, $"Training on {recipe.Describe(_options.MaximumSteps)}.");
        BigramCounts counts = BigramCounts.Count(training.Documents, tokenizer);
        LeapConfig config = _options.InitialModel?.Config ?? recipe.Fill(_options).MakeConfig(tokenizer.VocabularySize);
        if (device.type == TorchSharp.DeviceType.CPU)
            TrainingMemory.RequireFits(config, recipe.BatchSize, training.Ids.Count, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        channel.Info(default, $"{config}; {training.Ids.Count - 1} training tokens on {device}.");

        LeapModel network = new LeapModel(config, device, seed);
        GpuScorer? gpu = null;
        LeapLanguageModelTransformer? transformer = null;
        try
        {
            if (_options.InitialModel is LeapLanguageModelTransformer initial)
                network.SetWeights(initial.Model.GetParts().Weights);
            plan ??= new TrainingPlan(seed, recipe, tokenizer, StepCount: 0, EvaluationCount: 0);
            TrainingHistory history = Train(network, part ?? training, validation, plan, channel);
            ScoringSettings settings = _options.MakeScoringSettings(seed);
            var engine = new LeapNetwork(config, network.GetWeights());
            MemoryLearning? learning = null;
            if (recipe.MemoryMegabytes > 0)
            {
                learning = new MemoryLearning(
                    training.Documents, tokenizer.VocabularySize, tokenizer.EndOfTextId, (long)(recipe.MemoryMegabytes * BytesPerMegabyte));
                learning.LearnExponents(ReadHeldOut(validation), block => BlockLosses.ComputeLogits(engine, block), config.ContextLength);
            }

            // Before the memory knows the held-out rows.
            var scorer = new TextScorer(
                (blocks, _, memory) => BlockLosses.Compute(engine, blocks, memory), learning?.Memory, engine.Workers, ReadingPlan.Of(config),
                tokenizer.EndOfTextId);
            if (QualityCheck.FindFault(scorer, counts, tokenizer, history, recipe, validation ?? training, isHeldOut: validation is not null) is string fault)
                channel.Warning(default, fault);
            if (split is not null)
                learning?.CountHeldOut([.. validation!.Documents]);
            var model = new LeapLanguageModel(engine, tokenizer, counts, learning?.Memory, settings.Generation);
            gpu = device.type == TorchSharp.DeviceType.CPU ? null : new GpuScorer(network, settings.TokensPerBatch);
            transformer = new LeapLanguageModelTransformer(_host, model, settings, gpu, history, recipe);
            return transformer;
        }
        catch
        {
            transformer?.Dispose();
            throw;
        }
        finally
        {
            // A GPU goes on scoring with the network; on the CPU the engine has the weights now.
            if (gpu is null)
                network.Dispose();
        }
    }

    /// <summary>Gives the shape of the transformer's output.</summary>
    /// <param name="inputSchema">The shape of the input, which must have the text column.</param>
    /// <returns>The input's columns and the added ones.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="inputSchema"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        TextColumn.Check(inputSchema, _options.TextColumnName, nameof(inputSchema));
        var added = new ScoredColumns(_options.MakeScoringSettings(generationSeed: 0), HiddenSize).NamesAndTypes;
        IEnumerable<SchemaShape.Column> kept = inputSchema.Where(column => !added.Any(scored => scored.Name == column.Name));
        return new SchemaShape(
            [.. kept, .. added.Select(scored => SchemaColumns.Create(scored.Name, scored.Type))]);
    }

    private int HiddenSize => _options.InitialModel?.Config.HiddenSize ?? TrainingRecipe.Choose(_options, 0, 0, false).HiddenSize;

    private Device SelectDevice(IChannel channel)
    {
        HostSettings settings = HostSettings.Read(_host);
        return DeviceSelector.Select(
            _options.Device, settings.GpuDeviceId, _options.FallbackToCpu ?? settings.FallbackToCpu, message => channel.Warning(default, message));
    }

    private IEnumerable<ReadOnlyMemory<char>> ReadColumn(IDataView data) =>
        TokenizedCorpus.Texts(data, _options.TextColumnName, _options.CancellationToken);

    // The rows of all workers for each row that this one has.
    private int RowsPerRow => Group is { HasOwnPartAlone: true } ? Group.PartCount : 1;

    // Workers end together: none stops early by itself. The mean over workers has less noise than one of them, and bears greater steps; though not as much
    // greater as a batch of all their tokens would, as they drift apart within a round (docs/scale-out.md).
    private TrainingRecipe ChooseRecipe(TrainingTexts texts, bool hasValidationData)
    {
        TrainingRecipe recipe = TrainingRecipe.Choose(_options, texts.Count * RowsPerRow, texts.ByteCount * RowsPerRow, hasValidationData);
        if (Group is null)
            return recipe;
        double factor = _options.LearningRate is null ? Math.Min(MostRateFactor, Math.Sqrt(Math.Sqrt(Group.PartCount))) : 1;
        return recipe with { EarlyStoppingPatience = null, LearningRate = recipe.LearningRate * factor };
    }

    private static DocumentSplit Split(int rowCount, double fraction, int seed) => rowCount >= 2
        ? new DocumentSplit(rowCount, fraction, seed)
        : throw new InvalidOperationException(
            $"ValidationFraction needs at least 2 rows with text in the training data, to keep one for each purpose, but there are {rowCount}.");

    private TokenizedCorpus Encode(IEnumerable<ReadOnlyMemory<char>> texts, LeapTokenizer tokenizer, string purpose)
    {
        TokenizedCorpus corpus = TokenizedCorpus.Encode(texts, tokenizer, _options.MaximumCorpusMemory, HostSettings.Read(_host).TempFilePath);
        if (corpus.DocumentCount > 0)
            return corpus;
        corpus.Dispose();
        throw new InvalidOperationException($"Column '{_options.TextColumnName}' of the {purpose} data holds no text.");
    }

    // Enough to learn how much the memory counts.
    internal static List<int[]> ReadHeldOut(TokenizedCorpus? validation)
    {
        const long MostTokens = 100_000;
        List<int[]> rows = [];
        for (long tokens = 0; rows.Count < (validation?.DocumentCount ?? 0) && tokens < MostTokens; tokens += rows[^1].Length)
            rows.Add(validation!.Read(rows.Count)[..^1]);
        return rows;
    }

    private TrainingHistory Train(
        LeapModel model, TokenizedCorpus training, TokenizedCorpus? validation, TrainingPlan plan, IChannel channel)
    {
        Options options = plan.Recipe.Fill(_options);
        options.Seed = plan.Seed;

        // A busy machine may measure otherwise than when the run began.
        TrainingPrecision wanted = _options.Precision == TrainingPrecision.Auto && TrainingCheckpoints.ReadPrecision(_options) is TrainingPrecision begun
            ? begun
            : _options.Precision;
        options.Precision = PrecisionSelector.Choose(wanted, model.Device, model.Config.HiddenSize);
        options.Progress = new ProgressLog(channel).Report + _options.Progress;
        channel.Info(default, $"Matrix products are in {(options.Precision == TrainingPrecision.BFloat16 ? "bfloat16" : "single precision")}.");

        TokenBlocks blocks = Cut(training);
        SharedSteps? steps = Group is null ? null : Start(Group, plan, model, blocks, options);
        using var loop = new TrainingLoop(
            model, blocks, validation is null ? null : Cut(validation), options)
        {
            Exchange = steps is null ? null : new WeightExchange(Group!.Exchange, model, steps),
            Inform = message => channel.Info(default, message),
            Warn = message => channel.Warning(default, message),
            IsHostCancelled = () => HostSettings.IsCancelled(_host),
            WriteModel = target => new ModelParts(model.Config, model.GetWeights(), plan.Tokenizer, null).Write(target),
        };
        loop.Run();
        return new TrainingHistory(loop.Records);

        TokenBlocks Cut(TokenizedCorpus corpus) => _options.Layout == TrainingLayout.Stream
            ? new StreamBlocks(corpus.Ids, model.Config.ContextLength)
            : new DocumentBlocks(corpus, model.Config.ContextLength);
    }

    // Evaluates what all workers share, which the weights are after an exchange alone, as often as one machine does, and returns it: the best of one
    // worker's rows need not be that of another's.
    private static SharedSteps Start(TrainingGroup group, TrainingPlan plan, LeapModel model, TokenBlocks blocks, Options options)
    {
        if (plan.StepCount == 0)
            plan = plan with { StepCount = (int)Math.Min(int.MaxValue, TrainingLoop.CountSteps(blocks, options)), EvaluationCount = TrainingLoop.CountEvaluations(blocks, options) };
        float[] weights = WeightExchange.Read(model);
        SharedSteps steps = group.Start(plan, weights);
        WeightExchange.Write(model, weights);
        options.MaximumSteps = steps.Count;
        options.EvaluationInterval = TrainingInterval.Steps(steps.PerRound * Math.Max(1, steps.Count / steps.PerRound / plan.EvaluationCount));
        options.KeepBestModel = false;
        return steps;
    }
}

/// <summary>Tells whether a trained network is worth its training: better than counting tokens, and pairs of them.</summary>
internal static class QualityCheck
{
    // A run of fewer steps has hardly begun.
    private const long FewSteps = 300;

    private const long MostTokens = 20_000;

    /// <summary>Compares a trained model with counting, on documents of a corpus.</summary>
    /// <param name="scorer">The model's.</param>
    /// <param name="counts">What was counted in the training texts.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="history">How the training went.</param>
    /// <param name="recipe">Its settings.</param>
    /// <param name="corpus">The corpus, of which the first documents are scored.</param>
    /// <param name="isHeldOut">Whether the training did not see it; a bigram model knows the pairs of its own training texts too well to
    /// be a measure.</param>
    /// <returns>What is wrong with the model, and the remedy; null for nothing.</returns>
    public static string? FindFault(
        TextScorer scorer, BigramCounts counts, LeapTokenizer tokenizer, TrainingHistory history, TrainingRecipe recipe, TokenizedCorpus corpus,
        bool isHeldOut)
    {
        int endOfTextId = tokenizer.EndOfTextId;
        List<int[]> rows = [];
        for (long tokens = 0; rows.Count < corpus.DocumentCount && tokens < MostTokens; tokens += rows[^1].Length)
            rows.Add(corpus.Read(rows.Count)[..^1]);
        rows.RemoveAll(ids => ids.Contains(endOfTextId) || ids.Length == 0);
        if (rows.Count == 0 || history.Records.Count == 0)
            return null;

        double loss = -scorer.Score(rows).Sum(score => score.LogLikelihood);
        BaselineScore counted = rows.Aggregate(default(BaselineScore), (sum, ids) => sum + counts.Score(ids, endOfTextId));
        if (!isHeldOut)
            counted = counted with { BigramLogLikelihood = double.NegativeInfinity };
        return GetWarning(Math.Exp(loss / counted.TokenCount), counted, history, recipe, tokenizer.VocabularySize);
    }

    /// <summary>Gives a warning about a network that counting beats; <see langword="null"/> where it does not.</summary>
    /// <param name="perplexity">The network's perplexity per token on some texts.</param>
    /// <param name="counted">What counted models make of the same texts.</param>
    /// <param name="history">How the training went.</param>
    /// <param name="recipe">Its settings.</param>
    /// <param name="vocabularySize">The number of token ids.</param>
    public static string? GetWarning(
        double perplexity, BaselineScore counted, TrainingHistory history, TrainingRecipe recipe, int vocabularySize)
    {
        TrainingRecord last = history.Records[^1];
        if (last.TrainingLoss > Math.Log(vocabularySize))
        {
            string loss = Text($"its loss at the end is {last.TrainingLoss:0.0} nats per token, where guessing has {Math.Log(vocabularySize):0.0}");
            return Text($"The training diverged: {loss}. Use a lower LearningRate than {recipe.LearningRate}.");
        }

        if (perplexity < counted.UnigramPerplexity && perplexity < counted.BigramPerplexity)
            return null;
        string rival = perplexity < counted.UnigramPerplexity
            ? Text($"a bigram model, which counts pairs of tokens ({counted.BigramPerplexity:0.0})")
            : Text($"a unigram model, which counts single tokens ({counted.UnigramPerplexity:0.0})");
        return Text($"The model's perplexity, {perplexity:0.0}, is no better than that of {rival}. {GetRemedy(history, recipe)}");
    }

    private static string GetRemedy(TrainingHistory history, TrainingRecipe recipe)
    {
        TrainingRecord last = history.Records[^1];
        if (last.Step < FewSteps)
            return Text($"It has trained for {last.Step} steps only: use more Epochs, or a smaller BatchSize than {recipe.BatchSize}.");
        if (history.Best is TrainingRecord best && best.Step <= last.Step / 2)
            return Text($"It was best after step {best.Step} of {last.Step} and has learned the texts by heart since: use more text, or more Dropout.");
        return recipe.LearningRate < 1e-3
            ? Text($"Use a higher LearningRate than {recipe.LearningRate}, or more Epochs.")
            : Text($"Use more text, or another LearningRate than {recipe.LearningRate}.");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
