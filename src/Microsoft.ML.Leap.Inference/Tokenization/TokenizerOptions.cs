using System.Collections.ObjectModel;

namespace Microsoft.ML.Leap;

/// <summary>Says which tokenizer a trainer uses: one learned from the training texts, or a given one.</summary>
/// <remarks>Immutable and thread-safe. Given files are read when the trainer fits.
/// A special literal is a text that becomes one token wherever it stands. With an end token after each line a document is split at its
/// line breaks, and each line, the last included, is followed by <see cref="LeapTokenizer.EndOfTextId"/>.</remarks>
public sealed class TokenizerOptions
{
    private const int DefaultVocabularySize = 8192;

    private readonly string _description;
    private readonly Func<IEnumerable<ReadOnlyMemory<char>>, CancellationToken, LeapTokenizer> _create;

    private TokenizerOptions(string description, Func<IEnumerable<ReadOnlyMemory<char>>, CancellationToken, LeapTokenizer> create)
    {
        _description = description;
        _create = create;
    }

    /// <summary>Learns a byte-level BPE from the training texts: lossless on any text. The same texts give the same tokens.</summary>
    /// <param name="vocabularySize">Number of token ids at most: at least 257, which are 256 bytes and the end-of-text token, and one
    /// more for each special literal. Fewer are made where no pair of tokens occurs twice. Default 8,192.</param>
    /// <param name="specialLiterals">Texts that become one token each; they get the last ids.</param>
    /// <param name="endTokenAfterEachLine">Whether every line of a document is followed by an end token.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="vocabularySize"/> is too small.</exception>
    /// <exception cref="ArgumentException">A special literal is empty or given twice.</exception>
    public static TokenizerOptions ByteLevelBpe(
        int vocabularySize = DefaultVocabularySize, IReadOnlyCollection<string>? specialLiterals = null, bool endTokenAfterEachLine = false)
    {
        string[] literals = CheckLiterals(specialLiterals);
        int newLiterals = literals.Count(l => l != BytePairVocabulary.EndOfText);
        int minimum = BytePairTrainer.FirstMergedId + newLiterals;
        if (vocabularySize < minimum)
        {
            throw new ArgumentOutOfRangeException(
                nameof(vocabularySize),
                vocabularySize,
                $"vocabularySize must be at least {minimum}: 256 bytes, the end-of-text token and {newLiterals} special literals.");
        }

        string description = $"byte-level BPE of up to {vocabularySize} tokens, learned from the texts";
        return new TokenizerOptions(description, (texts, cancellationToken) =>
        {
            var searched = new SpecialLiteralSet(NumberLiterals(literals, BytePairTrainer.FirstMergedId));
            BytePairVocabulary vocabulary = BytePairTrainer.Train(texts, vocabularySize - newLiterals, searched, cancellationToken);
            return new BytePairTokenizer(
                new TokenizerSettings(TokenizerSettings.ByteLevelBpe, vocabulary.EndOfTextId)
                {
                    SpecialLiterals = NumberLiterals(literals, vocabulary.Count),
                    EndTokenAfterEachLine = endTokenAfterEachLine,
                },
                vocabulary);
        });
    }

    /// <summary>Takes every UTF-8 byte as a token: 257 ids with the end-of-text token, 256. Lossless.</summary>
    /// <param name="specialLiterals">Texts that become one token each; they get the ids from 257.</param>
    /// <param name="endTokenAfterEachLine">Whether every line of a document is followed by an end token.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentException">A special literal is empty or given twice.</exception>
    public static TokenizerOptions Bytes(IReadOnlyCollection<string>? specialLiterals = null, bool endTokenAfterEachLine = false)
    {
        var settings = new TokenizerSettings(TokenizerSettings.Bytes, ByteTokenizer.ByteCount)
        {
            SpecialLiterals = NumberLiterals(CheckLiterals(specialLiterals), ByteTokenizer.ByteCount + 1),
            EndTokenAfterEachLine = endTokenAfterEachLine,
        };
        return new TokenizerOptions("bytes", (_, _) => new ByteTokenizer(settings));
    }

    /// <summary>Uses a SentencePiece model file, such as T5's <c>spiece.model</c>. Its end piece is the end-of-text token.</summary>
    /// <param name="modelPath">Path of the model file.</param>
    /// <param name="specialLiterals">Texts that become one token each, with ids of the vocabulary or the next new ones. By default
    /// <c>&lt;unk&gt;</c> for T5's model, and none for others.</param>
    /// <param name="endTokenAfterEachLine">Whether every line of a document is followed by an end token.</param>
    /// <param name="sentinelCount">Number of ids after the pieces for T5's sentinels, at least 0 and at most 100,000; the texts <c>&lt;extra_id_0&gt;</c>,
    /// which has the last id, <c>&lt;extra_id_1&gt;</c>, ... become them. By default 100 for T5's model (so 32,100 ids), 0 for others.
    /// </param>
    /// <returns>The options.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">A special literal is empty or has a negative id.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="sentinelCount"/> is outside its range.</exception>
    public static TokenizerOptions SentencePiece(
        string modelPath,
        IReadOnlyDictionary<string, int>? specialLiterals = null,
        bool endTokenAfterEachLine = false,
        int? sentinelCount = null)
    {
        RequireFile(modelPath, nameof(modelPath), "SentencePiece model");
        const int most = SentencePieceLeapTokenizer.MaximumSentinelCount;
        if (sentinelCount is < 0 or > most)
            throw new ArgumentOutOfRangeException(nameof(sentinelCount), sentinelCount, $"sentinelCount must be at least 0 and at most {most}.");
        IReadOnlyDictionary<string, int>? literals = CopyLiterals(specialLiterals);
        return new TokenizerOptions($"SentencePiece model '{modelPath}'", (_, _) =>
            SentencePieceLeapTokenizer.Create(ReadFile(modelPath), literals, endTokenAfterEachLine, sentinelCount));
    }

    /// <summary>Uses GPT-2's vocabulary, or another byte-level BPE in its format that has an <c>&lt;|endoftext|&gt;</c>.</summary>
    /// <param name="vocabularyPath">Path of <c>vocab.json</c> or <c>encoder.json</c>: tokens and ids.</param>
    /// <param name="mergesPath">Path of <c>merges.txt</c> or <c>vocab.bpe</c>: a pair of tokens per line.</param>
    /// <param name="specialLiterals">Texts that become one token each, with ids of the vocabulary or the next new ones. By default
    /// <c>&lt;|endoftext|&gt;</c>.</param>
    /// <param name="endTokenAfterEachLine">Whether every line of a document is followed by an end token.</param>
    /// <returns>The options.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">A special literal is empty or has a negative id.</exception>
    public static TokenizerOptions Gpt2(
        string vocabularyPath,
        string mergesPath,
        IReadOnlyDictionary<string, int>? specialLiterals = null,
        bool endTokenAfterEachLine = false)
    {
        RequireFile(vocabularyPath, nameof(vocabularyPath), "GPT-2 vocabulary");
        RequireFile(mergesPath, nameof(mergesPath), "GPT-2 merges");
        IReadOnlyDictionary<string, int>? literals = CopyLiterals(specialLiterals);
        return new TokenizerOptions($"GPT-2 vocabulary '{vocabularyPath}'", (_, _) =>
            TokenizerLoader.CreateGpt2(ReadFile(vocabularyPath), ReadFile(mergesPath), literals, endTokenAfterEachLine));
    }

    /// <summary>Uses a tiktoken encoding. The application needs its data package when it trains, and no longer when it loads the model.
    /// </summary>
    /// <remarks>The encoding's own special tokens are recognised in every text. Letters beyond U+FFFF may be split in other places than
    /// by OpenAI's program; decoding gives the same text.</remarks>
    /// <param name="encodingName"><c>o200k_base</c> (package Microsoft.ML.Tokenizers.Data.O200kBase) or <c>cl100k_base</c> (package
    /// Microsoft.ML.Tokenizers.Data.Cl100kBase).</param>
    /// <param name="specialLiterals">Texts that become one token each besides the encoding's own, with ids of the vocabulary or the next
    /// new ones.</param>
    /// <param name="endTokenAfterEachLine">Whether every line of a document is followed by an end token.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentException">The encoding is unknown, or a special literal is empty or has a negative id.</exception>
    /// <exception cref="InvalidOperationException">The data package is missing.</exception>
    public static TokenizerOptions Tiktoken(
        string encodingName, IReadOnlyDictionary<string, int>? specialLiterals = null, bool endTokenAfterEachLine = false)
    {
        ArgumentNullException.ThrowIfNull(encodingName);
        TiktokenEncoding encoding = TiktokenEncoding.Find(encodingName) ?? throw new ArgumentException(
            $"encodingName '{encodingName}' is not a known tiktoken encoding; known are {TiktokenEncoding.KnownNames}.",
            nameof(encodingName));
        if (encoding.FindData() is null)
            throw encoding.MissingPackage();
        IReadOnlyDictionary<string, int> literals = CopyLiterals(specialLiterals) ?? ReadOnlyDictionary<string, int>.Empty;
        return new TokenizerOptions($"tiktoken encoding {encodingName}", (_, _) =>
            TiktokenLeapTokenizer.Create(encoding, encoding.ReadData(), literals, endTokenAfterEachLine));
    }

    /// <summary>Uses a tokenizer that is at hand, such as another model's.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="tokenizer"/> is <see langword="null"/>.</exception>
    public static TokenizerOptions Existing(LeapTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return new TokenizerOptions(tokenizer.ToString(), (_, _) => tokenizer);
    }

    /// <inheritdoc/>
    public override string ToString() => _description;

    /// <summary>Makes the tokenizer; only a learned one reads the texts, once.</summary>
    internal LeapTokenizer Create(IEnumerable<ReadOnlyMemory<char>> trainingTexts, CancellationToken cancellationToken) =>
        _create(trainingTexts, cancellationToken);

    private static string[] CheckLiterals(IReadOnlyCollection<string>? specialLiterals)
    {
        string[] copy = specialLiterals is null ? [] : [.. specialLiterals];
        foreach (string literal in copy)
            RequireText(literal, nameof(specialLiterals));
        if (copy.Distinct(StringComparer.Ordinal).Count() != copy.Length)
            throw new ArgumentException("specialLiterals must differ from one another.", nameof(specialLiterals));
        return copy;
    }

    private static ReadOnlyDictionary<string, int>? CopyLiterals(IReadOnlyDictionary<string, int>? specialLiterals)
    {
        if (specialLiterals is null)
            return null;
        foreach ((string literal, int id) in specialLiterals)
        {
            RequireText(literal, nameof(specialLiterals));
            if (id < 0)
            {
                throw new ArgumentException(
                    $"The special literal '{literal}' has the id {id}; an id is at least 0.", nameof(specialLiterals));
            }
        }

        return new Dictionary<string, int>(specialLiterals, StringComparer.Ordinal).AsReadOnly();
    }

    private static void RequireText(string literal, string name)
    {
        if (string.IsNullOrEmpty(literal))
            throw new ArgumentException("A special literal must not be empty.", name);
    }

    private static Dictionary<string, int> NumberLiterals(string[] literals, int firstId)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        int next = firstId;
        foreach (string literal in literals)
            ids.Add(literal, literal == BytePairVocabulary.EndOfText ? BytePairTrainer.EndOfTextId : next++);
        return ids;
    }

    private static void RequireFile(string path, string name, string what)
    {
        ArgumentNullException.ThrowIfNull(path, name);
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no {what} file '{path}' ({name}).", path);
    }

    private static byte[] ReadFile(string path)
    {
        using FileStream stream = OrdinaryFile.OpenRead(path);
        return TokenizerFiles.ReadAll(stream, path);
    }
}
