using System.IO.Compression;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>The trainers and operations of LEAP language models, reached by <see cref="LeapExtensions.Leap(MLContext)"/>.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class LeapCatalog
{
    internal LeapCatalog(MLContext context) => Context = context;

    internal MLContext Context { get; }

    /// <summary>Makes a trainer of a language model with the settings that matter most. What is left out is chosen by the amount of text;
    /// <see cref="TrainingRecipe"/> tells the choice.</summary>
    /// <param name="textColumnName">The column with the texts, a scalar of type Text.</param>
    /// <param name="epochs">Passes over the training texts; at least 1.</param>
    /// <param name="contextLength">Longest text in tokens that training sees at once; at least 1.</param>
    /// <param name="hiddenSize">Width of the network; a multiple of <paramref name="headCount"/>.</param>
    /// <param name="layerCount">Number of decoder blocks; at least 1.</param>
    /// <param name="headCount">Number of attention heads; at least 1.</param>
    /// <param name="tokenizer">The tokenizer; by default a byte-level BPE learned from the texts.</param>
    /// <param name="learningRate">Highest learning rate; over 0.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">Values do not fit together.</exception>
    public LeapLanguageModelTrainer LanguageModel(
        string textColumnName = "Text",
        int? epochs = null,
        int? contextLength = null,
        int? hiddenSize = null,
        int? layerCount = null,
        int? headCount = null,
        TokenizerOptions? tokenizer = null,
        double? learningRate = null) => LanguageModel(
        new LeapLanguageModelTrainer.Options
        {
            TextColumnName = textColumnName,
            Epochs = epochs,
            ContextLength = contextLength,
            HiddenSize = hiddenSize,
            LayerCount = layerCount,
            HeadCount = headCount,
            Tokenizer = tokenizer,
            LearningRate = learningRate,
        });

    /// <summary>Makes a trainer of a language model.</summary>
    /// <param name="options">All settings; copied.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting is outside its range.</exception>
    /// <exception cref="ArgumentException">Settings do not fit together.</exception>
    public LeapLanguageModelTrainer LanguageModel(LeapLanguageModelTrainer.Options options) => new(Context, options);

    /// <summary>Sums up the scores of a view that a language model has scored.</summary>
    /// <remarks><see cref="LanguageModelMetrics.UnigramPerplexity"/> and <see cref="LanguageModelMetrics.BigramPerplexity"/> are known of the view alone that
    /// <see cref="LeapLanguageModelTransformer.Transform"/> gave, as only that one knows its model. A step after it, such as a cache, a filter or a
    /// concatenation, makes another view, and they are NaN; all other metrics stay. Evaluate the model's own view, or call
    /// <see cref="LeapLanguageModelTransformer.Evaluate(IDataView)"/>.</remarks>
    /// <param name="data">The scored view.</param>
    /// <param name="logLikelihoodColumnName">Its column of log-likelihoods in nats; Single.</param>
    /// <param name="tokenCountColumnName">Its column of token counts; Int32.</param>
    /// <param name="textColumnName">Its column of texts, for the metrics per word and per byte; <see langword="null"/> to leave them out.</param>
    /// <returns>The metrics over all rows that have a text.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="data"/> or a column name is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or holds another type.</exception>
    public LanguageModelMetrics Evaluate(
        IDataView data,
        string logLikelihoodColumnName = "LogLikelihood",
        string tokenCountColumnName = "TokenCount",
        string? textColumnName = "Text")
    {
        ArgumentNullException.ThrowIfNull(data);
        RequireColumn(data.Schema, logLikelihoodColumnName, NumberDataViewType.Single, nameof(logLikelihoodColumnName));
        RequireColumn(data.Schema, tokenCountColumnName, NumberDataViewType.Int32, nameof(tokenCountColumnName));
        if (textColumnName is not null)
            TextColumn.Check(data.Schema, textColumnName, nameof(textColumnName));
        return ScoredViewEvaluator.Evaluate(data, logLikelihoodColumnName, tokenCountColumnName, textColumnName);
    }

    /// <summary>Saves a model as <c>mlContext.Model.Save</c> does, and harms no file that is there: it writes beside it, reads what it wrote, and renames
    /// it then. On a full disk, or where the process is killed, the file of before stays whole.</summary>
    /// <param name="model">A language model, or a pipeline.</param>
    /// <param name="inputSchema">The schema of the model's input; <see langword="null"/> to save none.</param>
    /// <param name="path">The zip to write; replaced where it exists.</param>
    /// <exception cref="ArgumentNullException"><paramref name="model"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentException"><paramref name="path"/> is <see langword="null"/> or empty.</exception>
    /// <exception cref="IOException">The file cannot be written; what was there is as it was.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public void Save(ITransformer model, DataViewSchema? inputSchema, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(path);
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite))
            {
                Context.Model.Save(model, inputSchema, stream);
                stream.Flush(flushToDisk: true);
                RequireReadable(stream);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Loads a model from a folder in the layout of Hugging Face, as <see cref="LeapLanguageModelTransformer.SavePretrained"/> and
    /// the original Python project write it, or from the zip of a folder that this library wrote.</summary>
    /// <param name="folder">The folder with <c>config.json</c>, <c>model.safetensors</c> and the tokenizer's files; or a zip of it.</param>
    /// <param name="textColumnName">The column that the transformer scores.</param>
    /// <param name="generatedTextColumnName">The column of continuations; <see langword="null"/> for none.</param>
    /// <param name="generation">How texts are continued; <see langword="null"/> for the defaults of
    /// <see cref="LeapLanguageModelTrainer.Options.Generation"/>.</param>
    /// <param name="device">"cpu", "cuda" or "cuda:1"; <see langword="null"/> follows the context's GPU, if it names one, else takes the
    /// CPU.</param>
    /// <param name="tokensColumnName">The column of tokens; <see langword="null"/> for none.</param>
    /// <param name="focusWeightsColumnName">The column of what the model focused on; <see langword="null"/> for none. Needs a context of at
    /// least 2 tokens.</param>
    /// <param name="tokenLogLikelihoodsColumnName">The column of how well each token is predicted; <see langword="null"/> for none.</param>
    /// <param name="embeddingColumnName">The column of vectors; <see langword="null"/> for none.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A name is empty, or the model cannot fill a column.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="FormatException">A file is corrupt, or the files do not fit together.</exception>
    public LeapLanguageModelTransformer LoadPretrained(
        string folder,
        string textColumnName = "Text",
        string? generatedTextColumnName = null,
        GenerationOptions? generation = null,
        string? device = null,
        string? tokensColumnName = null,
        string? focusWeightsColumnName = null,
        string? tokenLogLikelihoodsColumnName = null,
        string? embeddingColumnName = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var options = new LeapLanguageModelTrainer.Options
        {
            TextColumnName = textColumnName,
            GeneratedTextColumnName = generatedTextColumnName,
            TokensColumnName = tokensColumnName,
            FocusWeightsColumnName = focusWeightsColumnName,
            TokenLogLikelihoodsColumnName = tokenLogLikelihoodsColumnName,
            EmbeddingColumnName = embeddingColumnName,
        };
        options.Generation = generation ?? options.Generation;
        options.Validate();
        if (!File.Exists(folder))
            return ModelFolder.Load(folder, Load);
        using FileStream zip = OrdinaryFile.OpenRead(folder);
        return ModelZipReader.Read(zip, Load);

        LeapLanguageModelTransformer Load(IModelSource source) =>
            LeapLanguageModelTransformer.Load(Context, source, options.MakeScoringSettings(generationSeed: 0), device);
    }

    // A disk may take bytes and not keep them.
    private static void RequireReadable(FileStream stream)
    {
        try
        {
            using var zip = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            foreach (ZipArchiveEntry entry in zip.Entries)
            {
                using Stream content = entry.Open();
                content.CopyTo(Stream.Null);
            }
        }
        catch (InvalidDataException e)
        {
            throw new IOException($"The model was written, but cannot be read again; nothing was replaced. {e.Message}", e);
        }
    }

    private static void RequireColumn(DataViewSchema schema, string name, DataViewType type, string parameter)
    {
        ArgumentNullException.ThrowIfNull(name, parameter);
        DataViewSchema.Column column = schema.GetColumnOrNull(name)
            ?? throw new ArgumentOutOfRangeException(parameter, name, $"There is no column '{name}'; has the view been scored by a language model?");
        if (!column.Type.Equals(type))
            throw new ArgumentOutOfRangeException(parameter, name, $"Column '{name}' must hold {type}, but it holds {column.Type}.");
    }
}

/// <summary>Adds LEAP language models to <see cref="MLContext"/>.</summary>
public static class LeapExtensions
{
    /// <summary>Gives the catalog of LEAP trainers and operations of a context.</summary>
    /// <param name="mlContext">The context whose seed, log and device settings apply.</param>
    /// <returns>The catalog; cheap to make, and bound to <paramref name="mlContext"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="mlContext"/> is <see langword="null"/>.</exception>
    public static LeapCatalog Leap(this MLContext mlContext)
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        return new LeapCatalog(mlContext);
    }
}

/// <summary>Sums the scored columns of a view into metrics.</summary>
internal static class ScoredViewEvaluator
{
    /// <summary>Evaluates all rows with tokens; without a text column, words and bytes are unknown. What the counted models make of the
    /// texts is known of a model's own view alone.</summary>
    /// <param name="scored">The view.</param>
    /// <param name="logLikelihoodColumn">Its column of log-likelihoods.</param>
    /// <param name="tokenCountColumn">Its column of token counts.</param>
    /// <param name="textColumn">Its column of texts, or null.</param>
    public static LanguageModelMetrics Evaluate(
        IDataView scored, string logLikelihoodColumn, string tokenCountColumn, string? textColumn)
    {
        DataViewSchema schema = scored.Schema;
        List<DataViewSchema.Column> needed = [schema[logLikelihoodColumn], schema[tokenCountColumn]];
        DataViewSchema.Column? scoredText = scored is ScoredDataView view && view.TextColumn.Name == textColumn ? view.TextColumn : null;
        if (textColumn is not null)
            needed.Add(scoredText ?? schema[textColumn]);

        using DataViewRowCursor cursor = scored.GetRowCursor(needed);
        ValueGetter<float> getLogLikelihood = cursor.GetGetter<float>(needed[0]);
        ValueGetter<int> getTokenCount = cursor.GetGetter<int>(needed[1]);
        ValueGetter<ReadOnlyMemory<char>>? getText = textColumn is null ? null : cursor.GetGetter<ReadOnlyMemory<char>>(needed[2]);

        ScoredRowCursor? counted = scoredText is null ? null : cursor as ScoredRowCursor;
        double logLikelihood = 0;
        BaselineScore? baseline = null;
        long tokens = 0, words = 0, bytes = 0, documents = 0;
        while (cursor.MoveNext())
        {
            int count = 0;
            getTokenCount(ref count);
            if (count == 0)
                continue;
            float value = 0;
            getLogLikelihood(ref value);
            logLikelihood += value;
            tokens += count;
            documents++;
            if (getText is null)
                continue;
            ReadOnlyMemory<char> text = default;
            getText(ref text);
            words += WordCounter.Count(text.Span, WordCountRule.Words);
            if (counted?.CountedScore is BaselineScore score)
                baseline = (baseline ?? default) + score;
            bytes += System.Text.Encoding.UTF8.GetByteCount(text.Span);
        }

        return new LanguageModelMetrics(logLikelihood, tokens, words, bytes, documents, baseline: baseline);
    }
}
