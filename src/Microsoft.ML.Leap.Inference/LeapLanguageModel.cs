using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Leap;

/// <summary>A trained LEAP language model, ready to use: scores, continues, explains and embeds texts.</summary>
/// <remarks>
/// <para>Scores: each token of a text is predicted once, the first from an end-of-text start; the end of the text is not predicted. A text
/// of more than <see cref="LeapConfig.ReadingLength"/> tokens is read in windows of so many, in which a token that counts has at least half of
/// <see cref="LeapConfig.ContextLength"/> before it.</para>
/// <para>Thread-safe, except for <see cref="Dispose"/>: many threads share one model's weights. Holds native memory until disposed.</para>
/// </remarks>
/// <example><code>using LeapLanguageModel model = LeapLanguageModel.Load("model.zip");
/// Console.WriteLine(model.Score("The cat sat on the mat.").Perplexity);</code></example>
public sealed partial class LeapLanguageModel : IDisposable
{
    private const int ChunkTexts = 512;

    private readonly TextScorer _scorer;
    private readonly TextGenerator _generator;
    private bool _disposed;

    internal LeapLanguageModel(ModelParts parts, LeapLanguageModelOptions options)
        : this(
            new LeapNetwork(parts.Config, parts.Weights, options.WeightFormat, options.ThreadCount ?? 0), parts.Tokenizer, parts.Counts,
            options.UseMemory ? parts.Memory : null, options.Generation)
    {
    }

    /// <param name="network">The network, which the model owns.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="counts">The counts to compare with.</param>
    /// <param name="memory">The counted n-grams that predict beside the network.</param>
    /// <param name="generation">How texts are continued where a call says nothing.</param>
    internal LeapLanguageModel(
        LeapNetwork network, LeapTokenizer tokenizer, BigramCounts? counts, ModelMemory? memory, GenerationOptions generation)
    {
        Network = network;
        Tokenizer = tokenizer;
        Counts = counts;
        Memory = memory;
        DefaultGeneration = generation;
        _scorer = new TextScorer(ComputeLosses, Memory, Network.Workers, ReadingPlan.Of(Config), Tokenizer.EndOfTextId);
        _generator = new TextGenerator(Network, Memory, Tokenizer);
    }

    /// <summary>Loads a model.</summary>
    /// <param name="path">A zip that <c>mlContext.Model.Save</c> wrote, of a model or of a pipeline with one; or a folder with
    /// <c>config.json</c>, <c>model.safetensors</c> and the tokenizer's files, as <see cref="Save"/> and the original Python project write
    /// it; or the zip of a folder that <see cref="Save"/> wrote.</param>
    /// <param name="options">How to hold and compute it; <see langword="null"/> for the defaults.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException"><paramref name="path"/> is <see langword="null"/> or empty.</exception>
    /// <exception cref="FileNotFoundException">There is no such file or folder, or a file is missing from the folder.</exception>
    /// <exception cref="FormatException">A file is corrupt, the files do not fit together, or the zip holds no such model.</exception>
    /// <exception cref="InvalidOperationException">The zip holds several such models.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A path and a stream are never confused.")]
    public static LeapLanguageModel Load(string path, LeapLanguageModelOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            WarmUp.Start(options);
            return ModelFolder.Load(path, source => Read(source, options ?? new LeapLanguageModelOptions()));
        }

        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no file or folder '{path}' to load a model from.", path);
        using FileStream stream = OrdinaryFile.OpenRead(path);
        return Load(stream, options);
    }

    /// <summary>Loads a model from a zip that <c>mlContext.Model.Save</c> wrote, of a model or of a pipeline with one, or from the zip of a folder
    /// that <see cref="Save"/> wrote.</summary>
    /// <param name="stream">The zip, seekable. It stays open.</param>
    /// <param name="options">How to hold and compute the model; <see langword="null"/> for the defaults.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException"><paramref name="stream"/> cannot seek.</exception>
    /// <exception cref="FormatException">The stream is corrupt, or holds no such model.</exception>
    /// <exception cref="InvalidOperationException">The zip holds several such models.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A path and a stream are never confused.")]
    public static LeapLanguageModel Load(Stream stream, LeapLanguageModelOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanSeek)
            throw new ArgumentException("The stream must be able to seek, as a file or memory can: a zip is read from its end.", nameof(stream));
        WarmUp.Start(options);
        return ModelZipReader.Read(stream, source => Read(source, options ?? new LeapLanguageModelOptions()));
    }

    internal static LeapLanguageModel Read(IModelSource source, LeapLanguageModelOptions options)
    {
        LeapNetwork? network = null;
        try
        {
            var (_, _, tokenizer, counts, memory) = ModelParts.Read(
                source,
                (stream, config) => network = Checkpoint.ReadNetwork(stream, stream.Length, config, options.WeightFormat, options.ThreadCount ?? 0));
            return new LeapLanguageModel(network!, tokenizer, counts, options.UseMemory ? memory : null, options.Generation);
        }
        catch
        {
            network?.Dispose();
            throw;
        }
    }

    /// <summary>Gets the shape of the network.</summary>
    public LeapConfig Config => Network.Config;

    /// <summary>Gets the tokenizer.</summary>
    public LeapTokenizer Tokenizer { get; }

    /// <summary>Gets how the matrices are held in memory.</summary>
    public WeightFormat WeightFormat => Network.Format;

    /// <summary>Gets the bytes that the weights and the counted n-grams take in memory.</summary>
    public long SizeInBytes => Network.SizeInBytes + (Memory?.SizeInBytes ?? 0);

    internal LeapNetwork Network { get; }

    internal BigramCounts? Counts { get; }

    internal ModelMemory? Memory { get; }

    internal TextGenerator Generator => _generator;

    internal bool IsDisposed => _disposed;

    /// <summary>Scores a text: how well the model predicts it.</summary>
    /// <param name="text">The text.</param>
    /// <returns>Its log-likelihood, number of tokens and perplexity.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public TextScore Score(string text)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(text);
        return _scorer.Score([Tokenizer.Encode(text)])[0];
    }

    /// <summary>Scores many texts, some hundred at a time, as their scores are asked for.</summary>
    /// <param name="texts">The texts; read once, as a stream.</param>
    /// <returns>A score for each text, in their order: the very one that <see cref="Score"/> gives.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="texts"/>, or one of them, is <see langword="null"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IEnumerable<TextScore> ScoreAll(IEnumerable<string> texts)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(texts);
        return texts.Chunk(ChunkTexts).SelectMany(chunk =>
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _scorer.Score([.. chunk.Select(text => Tokenizer.Encode(text ?? throw new ArgumentNullException(nameof(texts))))]);
        });
    }

    /// <summary>Makes a memory of the texts that are read from now on, for <see cref="ScoreAll(IEnumerable{string}, RunningMemory)"/>.</summary>
    /// <param name="maximumMegabytes">Memory that it may take, in MiB, over 0. At the limit it learns no new n-grams.</param>
    /// <returns>The memory, of this model.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maximumMegabytes"/> is not over 0.</exception>
    public RunningMemory CreateRunningMemory(int maximumMegabytes = 256)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maximumMegabytes);
        return new RunningMemory(Memory, Tokenizer, maximumMegabytes);
    }

    /// <summary>Scores texts one after another, each with what was read before it in mind, and remembers it for those after it.</summary>
    /// <param name="texts">The texts, in the order of reading; read once, as a stream, some hundred ahead of the scores.</param>
    /// <param name="memory">What <see cref="CreateRunningMemory"/> of this model made; it goes on from what it has read. A text is remembered when its score
    /// is handed out.</param>
    /// <returns>A score for each text, in their order. It depends on the texts before.</returns>
    /// <exception cref="ArgumentNullException">An argument, or one of the texts, is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException"><paramref name="memory"/> belongs to another model.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "The memory says which is meant.")]
    public IEnumerable<TextScore> ScoreAll(IEnumerable<string> texts, RunningMemory memory)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(memory);
        if (memory.Tokenizer != Tokenizer)
            throw new ArgumentException("The running memory was made by another model; make one by this model's CreateRunningMemory.", nameof(memory));
        return texts.Chunk(ChunkTexts).SelectMany(chunk =>
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            IReadOnlyList<int>[] rows = [.. chunk.Select(text => Tokenizer.Encode(text ?? throw new ArgumentNullException(nameof(texts))))];
            return _scorer.Score(rows, memory);
        });
    }

    /// <summary>Gives each token of a text its log-likelihood.</summary>
    /// <param name="text">The text.</param>
    /// <returns>Nats, at most 0, one per token of <see cref="LeapTokenizer.Encode(string)"/>; their sum is the text's.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public float[] ScoreTokens(string text)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(text);
        IReadOnlyList<int> ids = Tokenizer.Encode(text);
        float[] likelihoods = new float[ids.Count];
        _scorer.Score([ids], [likelihoods]);
        return likelihoods;
    }

    /// <summary>Tells how likely the model finds each token of a text, and which tokens it finds likeliest in its place.</summary>
    /// <param name="text">The text.</param>
    /// <param name="alternativeCount">How many of the likeliest tokens to name at each place, from 0 to 20.</param>
    /// <returns>One for each token of <see cref="LeapTokenizer.Encode(string)"/>, with the log-likelihood of <see cref="ScoreTokens"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="alternativeCount"/> is outside its range.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IReadOnlyList<ScoredToken> PredictTokens(string text, int alternativeCount)
    {
        ArgumentNullException.ThrowIfNull(text);
        return PredictTokens(Tokenizer.Encode(text), alternativeCount);
    }

    /// <summary>Tells how likely the model finds each of some tokens, and which tokens it finds likeliest in its place.</summary>
    /// <param name="ids">The tokens' ids; the first is predicted from an end-of-text start.</param>
    /// <param name="alternativeCount">How many of the likeliest tokens to name at each place, from 0 to 20.</param>
    /// <returns>One for each token.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An id is outside of the vocabulary.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="alternativeCount"/> is outside its range.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IReadOnlyList<ScoredToken> PredictTokens(IReadOnlyList<int> ids, int alternativeCount)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RequireKnown(ids, nameof(ids));
        ArgumentOutOfRangeException.ThrowIfNegative(alternativeCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(alternativeCount, GenerationOptions.MaximumLogProbabilityCount);
        return new TokenAlternatives(Network, Memory, Tokenizer).Score(_scorer, ids, alternativeCount);
    }

    /// <summary>Turns a text into a vector: what the network knows of it, for a classifier, a search or a clustering.</summary>
    /// <param name="text">The text. One without tokens gives NaN.</param>
    /// <param name="options">Which layer, and how its vectors become one; <see langword="null"/> for the mean of the last layer's.</param>
    /// <returns>A vector of <see cref="LeapConfig.HiddenSize"/> values.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The network has no such layer.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A text and tokens are never confused.")]
    public float[] Embed(string text, EmbeddingOptions? options = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(text);
        return TextEmbedder.Embed(Network, [Tokenizer.Encode(text)], Tokenizer.EndOfTextId, options ?? new EmbeddingOptions())[0];
    }

    /// <summary>Turns tokens into a vector, as <see cref="Embed(string, EmbeddingOptions?)"/> does with those of a text.</summary>
    /// <param name="ids">The tokens' ids. None give NaN.</param>
    /// <param name="options">Which layer, and how its vectors become one; <see langword="null"/> for the mean of the last layer's.</param>
    /// <returns>A vector of <see cref="LeapConfig.HiddenSize"/> values.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">An id is outside of the vocabulary.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The network has no such layer.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    [SuppressMessage("ApiDesign", "RS0026", Justification = "A text and tokens are never confused.")]
    public float[] Embed(IReadOnlyList<int> ids, EmbeddingOptions? options = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RequireKnown(ids, nameof(ids));
        return TextEmbedder.Embed(Network, [ids], Tokenizer.EndOfTextId, options ?? new EmbeddingOptions())[0];
    }

    /// <summary>Tells what the model focuses on in a text, and how well it predicts each token.</summary>
    /// <param name="text">The text; less than <see cref="LeapConfig.ReadingLength"/> tokens. An empty one gives a report of the end-of-text start
    /// alone.</param>
    /// <returns>The report. One pass of the network.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">The text has <see cref="LeapConfig.ReadingLength"/> tokens or more.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public FocusReport Explain(string text)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(text);
        return FocusReader.Explain(Network, Memory, Tokenizer, string.Empty, text, nameof(text));
    }

    /// <summary>Tells what the model focuses on in a prompt and a continuation while it predicts the continuation.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="continuation">What follows it, as <see cref="Generate"/> returns it; both together of less than
    /// <see cref="LeapConfig.ReadingLength"/> tokens. They are tokenized apart, so that a token belongs to one of them.</param>
    /// <returns>The report; its aggregates count only the positions from which the continuation is predicted. One pass of the network.</returns>
    /// <exception cref="ArgumentNullException">A text is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException">The texts have <see cref="LeapConfig.ReadingLength"/> tokens or more.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public FocusReport Explain(string prompt, string continuation)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(continuation);
        return FocusReader.Explain(Network, Memory, Tokenizer, prompt, continuation, nameof(continuation));
    }

    /// <summary>Measures how well the model predicts documents.</summary>
    /// <param name="documents">The documents, read once, one after another: memory does not grow with their number.</param>
    /// <param name="options">The protocol; <see langword="null"/> for the defaults of <see cref="EvaluationOptions"/>.</param>
    /// <param name="cancellationToken">Ends the call between two batches or documents, with an exception.</param>
    /// <returns>The metrics over all documents. An empty text has no tokens, words and bytes.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="documents"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length in <paramref name="options"/> is greater than the model's
    /// context.</exception>
    /// <exception cref="ArgumentException">The options do not fit together.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public LanguageModelMetrics Evaluate(
        IEnumerable<string> documents, EvaluationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(documents);
        return new CorpusEvaluator(
            Network, ComputeLosses, Memory, Tokenizer, Counts, options ?? new EvaluationOptions(), cancellationToken)
            .Evaluate(documents.Select(document => document.AsMemory()));
    }

    /// <summary>Writes the model to a folder in the layout of Hugging Face: <c>config.json</c>, <c>model.safetensors</c> and the tokenizer's
    /// files.</summary>
    /// <param name="folder">The folder, made when absent; files of those names in it are replaced once the new ones are complete.</param>
    /// <param name="format">How the matrices are stored: what is not <see cref="WeightFormat.Float32"/> makes a smaller file of rounded
    /// weights.</param>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is <see langword="null"/> or empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="format"/> is none of its names.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public void Save(string folder, WeightFormat format = WeightFormat.Float32)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Enum.IsDefined(format))
            throw new ArgumentOutOfRangeException(nameof(format), format, "format must be one of its named values.");
        ModelFolder.Save(folder, target =>
        {
            GetParts().Write(target, format);
            Tokenizer.SaveForOthers(target.Write);
        });
    }

    /// <summary>Frees the weights. What is still computing ends first; what comes after throws.</summary>
    public void Dispose()
    {
        _disposed = true;
        Network.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Config}; {Tokenizer}{(_disposed ? "; disposed" : "")}";

    private void RequireKnown(IReadOnlyList<int> ids, string name)
    {
        ArgumentNullException.ThrowIfNull(ids, name);
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)Tokenizer.VocabularySize)
                throw new ArgumentException($"{name} names the token {id}, but ids are at least 0 and below {Tokenizer.VocabularySize}.", name);
        }
    }

    internal ModelParts GetParts() => new(Config, Network.GetWeights(), Tokenizer, Counts, Memory);

    private double[][] ComputeLosses(IReadOnlyList<EvaluationBlock> blocks, int? batchSize, ModelMemory? memory) => BlockLosses.Compute(Network, blocks, memory);
}
