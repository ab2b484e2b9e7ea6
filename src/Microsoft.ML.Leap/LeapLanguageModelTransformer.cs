using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Leap;

/// <summary>A trained LEAP language model: scores the rows of a text column, and continues texts.</summary>
/// <remarks>
/// <para>Added columns are lazy: what nobody reads costs nothing. Each token of a row is predicted once, the first from an end-of-text
/// start; the end of the row is not predicted. Rows longer than <see cref="LeapConfig.ReadingLength"/> tokens are read in windows of so
/// many, in which a token that counts has at least half of <see cref="LeapConfig.ContextLength"/> before it. A row that is empty or
/// missing gets NaN, a token count of 0, no generated text and empty vectors, and the log one warning per view.</para>
/// <para>Thread-safe, except for <see cref="Dispose"/>. Holds native memory until disposed.</para>
/// </remarks>
[TypeFormatterSource(typeof(TransformerDisplay))]
public sealed class LeapLanguageModelTransformer : ITransformer, IDisposable
{
    private const int SettingsVersion = 3;
    private const int RecipeVersion = 2;

    private readonly IHost _host;
    private readonly ScoringSettings _settings;
    private readonly ScoredColumns _columns;
    private readonly TextEvaluator _evaluator;
    private readonly ComputeLosses _computeLosses;
    private readonly GpuScorer? _gpu;

    /// <param name="environment">Where messages go.</param>
    /// <param name="model">The model, which the transformer owns.</param>
    /// <param name="settings">How it is used.</param>
    /// <param name="gpu">What scores on a GPU, which the transformer owns; null where the engine scores.</param>
    /// <param name="history">How the training went.</param>
    /// <param name="recipe">What the trainer chose.</param>
    internal LeapLanguageModelTransformer(
        IHostEnvironment environment, LeapLanguageModel model, ScoringSettings settings, GpuScorer? gpu = null, TrainingHistory? history = null,
        TrainingRecipe? recipe = null)
    {
        _host = environment.Register(nameof(LeapLanguageModelTransformer));
        _settings = settings;
        _gpu = gpu;
        _computeLosses = gpu is null ? (blocks, _, memory) => BlockLosses.Compute(model.Network, blocks, memory) : gpu.ComputeLosses;
        _columns = new ScoredColumns(settings, model.Config.HiddenSize, model.Tokenizer.GetTokenText);
        _evaluator = new TextEvaluator(model, settings, _computeLosses);
        Model = model;
        History = history ?? new TrainingHistory([]);
        Recipe = recipe;
    }

    /// <summary>Loads what <see cref="ICanSaveModel.Save"/> wrote.</summary>
    internal static LeapLanguageModelTransformer Load(IHostEnvironment environment, IModelSource source) => Load(
        environment, source, source.Read(ModelFileNames.Settings, ReadSettings), null, areSettingsRead: true);

    private static ScoringSettings ReadSettings(Stream stream)
    {
        ScoringSettings settings = SettingsJson.Read<ScoringSettings>(stream, SettingsVersion);
        try
        {
            settings.RequireValid();
            return settings;
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"{ModelFileNames.Settings}: {e.Message}", e);
        }
    }

    internal static LeapLanguageModelTransformer Load(
        IHostEnvironment environment, IModelSource source, ScoringSettings settings, string? device, bool areSettingsRead = false)
    {
        IHost host = environment.Register(nameof(LeapLanguageModelTransformer));
        TrainingHistory? history = source.Contains(HistoryCsv.FileName)
            ? new TrainingHistory(source.Read(HistoryCsv.FileName, HistoryCsv.Read))
            : null;
        TrainingRecipe? recipe = source.Contains(ModelFileNames.Recipe)
            ? source.Read(ModelFileNames.Recipe, stream => SettingsJson.Read<TrainingRecipe>(stream, RecipeVersion, ModelFileNames.Recipe))
            : null;
        ModelParts parts = ModelParts.Read(source);
        try
        {
            settings.RequireFits(parts.Config);
        }
        catch (ArgumentException e) when (areSettingsRead)
        {
            throw new FormatException($"{ModelFileNames.Settings}: {e.Message}", e);
        }

        var model = new LeapLanguageModel(parts, new LeapLanguageModelOptions { Generation = settings.Generation });
        try
        {
            return new LeapLanguageModelTransformer(
                environment, model, settings, GpuScorer.CreateIfAskedFor(host, parts, device, settings.TokensPerBatch), history, recipe);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Gets the model by itself: it scores, continues, explains and embeds texts without ML.NET.</summary>
    /// <remarks>It is disposed with the transformer.</remarks>
    public LeapLanguageModel Model { get; }

    /// <summary>Gets the shape of the network.</summary>
    public LeapConfig Config => Model.Config;

    /// <summary>Gets the tokenizer.</summary>
    public LeapTokenizer Tokenizer => Model.Tokenizer;

    /// <summary>Gets how the training went. It is saved with the model by ML.NET, and not by <see cref="SavePretrained"/>.</summary>
    public TrainingHistory History { get; }

    /// <summary>Gets the settings that the trainer used where its options left a choice; <see langword="null"/> for a model that this
    /// version's trainer did not make. It is saved with the model by ML.NET, and not by <see cref="SavePretrained"/>.</summary>
    public TrainingRecipe? Recipe { get; }

    /// <summary>Gets whether rows are mapped one to one: always <see langword="true"/>.</summary>
    public bool IsRowToRowMapper => true;

    internal string TextColumnName => _settings.TextColumnName;

    internal IEnumerable<(string Name, DataViewType Type)> OutputColumns => _columns.NamesAndTypes;

    /// <summary>Gets where rows are scored; null of a disposed model.</summary>
    internal string? DeviceName => Model.IsDisposed ? null : _gpu?.DeviceName ?? "cpu";

    /// <summary>Gives the schema of the output.</summary>
    /// <param name="inputSchema">A schema with the text column.</param>
    /// <returns>The input's columns and the added ones.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="inputSchema"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        TextColumn.Check(inputSchema, _settings.TextColumnName, nameof(inputSchema));
        return _columns.AppendTo(inputSchema);
    }

    /// <summary>Adds the scored columns to a data view; computes nothing yet.</summary>
    /// <param name="input">A view with the text column. A cursor over the result reads some hundred rows of it ahead, each value once, so
    /// that rows are scored together.</param>
    /// <returns>The view with the added columns.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="input"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IDataView Transform(IDataView input)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ArgumentNullException.ThrowIfNull(input);
        TextColumn.Check(input.Schema, _settings.TextColumnName, nameof(input));
        return new ScoredDataView(input, _evaluator, _columns, _settings.TextColumnName, WarnOnce());
    }

    /// <summary>Gives a mapper that adds the scored columns to single rows.</summary>
    /// <param name="inputSchema">A schema with the text column.</param>
    /// <returns>The mapper; its <see cref="IRowToRowMapper.InputSchema"/> is <paramref name="inputSchema"/> itself.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="inputSchema"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ArgumentNullException.ThrowIfNull(inputSchema);
        TextColumn.Check(inputSchema, _settings.TextColumnName, nameof(inputSchema));
        return new ScoringRowMapper(inputSchema, _evaluator, _columns, _settings.TextColumnName, WarnOnce());
    }

    /// <summary>Measures how well the model predicts the texts of a view.</summary>
    /// <param name="data">A view with the text column.</param>
    /// <returns>The metrics over all rows that have a text.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="data"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public LanguageModelMetrics Evaluate(IDataView data) => ScoredViewEvaluator.Evaluate(
        Transform(data), _settings.LogLikelihoodColumnName, _settings.TokenCountColumnName, _settings.TextColumnName);

    /// <summary>Measures how well the model predicts the texts of a view, by a protocol of choice.</summary>
    /// <param name="data">A view with the text column; each row is a document. It is read once, as a stream: memory does not grow with
    /// it.</param>
    /// <param name="options">The protocol.</param>
    /// <param name="cancellationToken">Ends the call between two batches or documents, with an exception.</param>
    /// <returns>The metrics over all documents. An empty or missing text has no tokens, words and bytes.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="data"/> or <paramref name="options"/> is
    /// <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The text column is missing or holds no text scalar, or a length in
    /// <paramref name="options"/> is greater than the model's context.</exception>
    /// <exception cref="ArgumentException">The options do not fit together.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "The overloads' first parameters share no type that a call could leave open.")]
    public LanguageModelMetrics Evaluate(IDataView data, EvaluationOptions options, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ArgumentNullException.ThrowIfNull(data);
        TextColumn.Check(data.Schema, _settings.TextColumnName, nameof(data));
        return EvaluateTexts(TokenizedCorpus.Texts(data, _settings.TextColumnName, cancellationToken), options, cancellationToken);
    }

    /// <summary>Measures how well the model predicts documents, by a protocol of choice.</summary>
    /// <param name="documents">The documents, read once, one after another: memory does not grow with their number.</param>
    /// <param name="options">The protocol.</param>
    /// <param name="cancellationToken">Ends the call between two batches or documents, with an exception.</param>
    /// <exception cref="ArgumentNullException"><paramref name="documents"/> or <paramref name="options"/> is
    /// <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length in <paramref name="options"/> is greater than the model's
    /// context.</exception>
    /// <inheritdoc cref="Evaluate(IDataView, EvaluationOptions, CancellationToken)"/>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "The overloads' first parameters share no type that a call could leave open.")]
    public LanguageModelMetrics Evaluate(
        IEnumerable<string> documents, EvaluationOptions options, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ArgumentNullException.ThrowIfNull(documents);
        return EvaluateTexts(documents.Select(document => document.AsMemory()), options, cancellationToken);
    }

    /// <summary>Gets the options that the model was made with, for calls that name none.</summary>
    public GenerationOptions DefaultGeneration => Model.DefaultGeneration;

    /// <inheritdoc cref="LeapLanguageModel.Generate(string, GenerationOptions, CancellationToken)"/>
    public string Generate(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Generate(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.Complete(string, GenerationOptions, CancellationToken)"/>
    public GenerationResult Complete(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Complete(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.CompleteAll(IReadOnlyList{GenerationRequest}, CancellationToken)"/>
    public IReadOnlyList<GenerationResult> CompleteAll(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellationToken = default) =>
        Model.CompleteAll(requests, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.Continue(GenerationState, GenerationOptions, CancellationToken)"/>
    public GenerationResult Continue(GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.Continue(state, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.GenerateTokensAsync(string, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.GenerateTokensAsync(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.ContinueAsync(GenerationState, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<GeneratedToken> ContinueAsync(GenerationState state, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.ContinueAsync(state, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.GenerateTextAsync(string, GenerationOptions, CancellationToken)"/>
    public IAsyncEnumerable<string> GenerateTextAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Model.GenerateTextAsync(prompt, options, cancellationToken);

    /// <inheritdoc cref="LeapLanguageModel.CreateGenerationState(string, PositionPolicy)"/>
    public GenerationState CreateGenerationState(string prompt = "", PositionPolicy positionPolicy = PositionPolicy.Throw) =>
        Model.CreateGenerationState(prompt, positionPolicy);

    /// <inheritdoc cref="LeapLanguageModel.LoadGenerationState(Stream)"/>
    public GenerationState LoadGenerationState(Stream stream) => Model.LoadGenerationState(stream);

    /// <inheritdoc cref="LeapLanguageModel.Explain(string)"/>
    public FocusReport Explain(string text) => Model.Explain(text);

    /// <inheritdoc cref="LeapLanguageModel.Explain(string, string)"/>
    public FocusReport Explain(string prompt, string continuation) => Model.Explain(prompt, continuation);

    /// <summary>Writes the model to a folder in the layout of Hugging Face: <c>config.json</c>, <c>model.safetensors</c> and the tokenizer's
    /// files.</summary>
    /// <param name="folder">The folder, made when absent; files of those names in it are replaced once the new ones are complete.</param>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is empty.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public void SavePretrained(string folder)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Model.Save(folder);
    }

    /// <summary>Frees the network. Views and mappers of this model must not be read any more.</summary>
    public void Dispose()
    {
        Model.Dispose();
        _gpu?.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Config}; {Tokenizer}; {(DeviceName is string device ? $"reads '{TextColumnName}' on {device}" : "disposed")}";

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ObjectDisposedException.ThrowIf(Model.IsDisposed, this);
        ModelZip.Save(ctx, Write);
    }

    /// <summary>Writes the model's files, those of ML.NET's zip.</summary>
    internal void Write(IModelTarget target)
    {
        Model.GetParts().Write(target);
        if (Model.Counts is BigramCounts counts)
            target.Write(BigramCounts.FileName, counts.Write);
        target.Write(ModelFileNames.Settings, stream => SettingsJson.Write(stream, SettingsVersion, _settings));
        if (History.Records.Count > 0)
            target.Write(HistoryCsv.FileName, stream => HistoryCsv.Write(stream, History.Records));
        if (Recipe is not null)
            target.Write(ModelFileNames.Recipe, stream => SettingsJson.Write(stream, RecipeVersion, Recipe));
    }

    /// <summary>Scores rows of token ids, as the columns are scored.</summary>
    internal TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows) => _evaluator.Score(rows);

    private LanguageModelMetrics EvaluateTexts(
        IEnumerable<ReadOnlyMemory<char>> texts, EvaluationOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new CorpusEvaluator(Model.Network, _computeLosses, Model.Memory, Tokenizer, Model.Counts, options, cancellationToken).Evaluate(texts);
    }

    private Action WarnOnce()
    {
        int warned = 0;
        return () =>
        {
            if (Interlocked.Exchange(ref warned, 1) != 0)
                return;
            using IChannel channel = _host.Start("Scoring");
            channel.Warning(
                default, $"Column '{_settings.TextColumnName}' has rows without text; they get NaN, a token count of 0, no generated text and no tokens.");
        };
    }
}
