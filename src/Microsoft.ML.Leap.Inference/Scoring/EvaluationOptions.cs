namespace Microsoft.ML.Leap;

/// <summary>How a corpus is evaluated: how it is cut into blocks, and what is predicted. Immutable, and therefore thread-safe.</summary>
/// <remarks>Except as <see cref="DropRemainder"/> and <see cref="PredictBlockStarts"/> say, each token is predicted exactly once.</remarks>
/// <example><code>EvaluationOptions.RollingDocuments with { Mode = EvaluationMode.Strided, ShiftLastBlock = false }</code></example>
public sealed record EvaluationOptions
{
    private readonly EvaluationMode _mode;
    private readonly EndOfTextHandling _endOfText;
    private readonly WordCountRule _wordCount;
    private readonly int? _blockLength;
    private readonly int? _stride;
    private readonly int? _documentsPerStream;
    private readonly int? _batchSize;
    private readonly int _positionBucketSize;

    /// <summary>Gets the protocol of the notebook of LEAP's Python original, for a corpus whose documents are its lines.</summary>
    /// <value>Every 1,000 lines, with an end token after each, are cut into blocks of the context length that share nothing; the first token
    /// of a block is not predicted, end tokens are, and what fills no whole block is left out. The original's tokenizer ends each line with
    /// an end token: one made with <c>endTokenAfterEachLine</c> keeps those of empty lines, as the original does.</value>
    public static EvaluationOptions LeapNotebook { get; } = new()
    {
        EndOfText = EndOfTextHandling.Scored,
        DocumentsPerStream = 1000,
        PredictBlockStarts = false,
        DropRemainder = true,
    };

    /// <summary>Gets the protocol of lm-evaluation-harness for perplexities (<c>loglikelihood_rolling</c>).</summary>
    /// <value>Each document for itself, its first token predicted from an end-of-text start, in disjoint blocks of the context length; the
    /// last one starts earlier, so that it is of full length too. Words are the pieces of a split by white space. For the harness's
    /// WikiText task, set <see cref="PrepareText"/> to its detokenizer: the harness too counts words and bytes before it.</value>
    public static EvaluationOptions RollingDocuments { get; } = new() { ShiftLastBlock = true, WordCount = WordCountRule.PythonSplit };

    /// <summary>Gets how much of the text before a token the model predicts it from.</summary>
    /// <value><see cref="EvaluationMode.Disjoint"/> by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is no such mode.</exception>
    public EvaluationMode Mode
    {
        get => _mode;
        init => _mode = Defined(value, nameof(Mode));
    }

    /// <summary>Gets whether documents are joined, and whether end-of-text tokens are predicted.</summary>
    /// <value><see cref="EndOfTextHandling.SeparateDocuments"/> by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is no such handling.</exception>
    public EndOfTextHandling EndOfText
    {
        get => _endOfText;
        init => _endOfText = Defined(value, nameof(EndOfText));
    }

    /// <summary>Gets the most tokens that the network reads in one pass.</summary>
    /// <value>At least 1, at most the model's context length; <see langword="null"/>, the default, for that.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public int? BlockLength
    {
        get => _blockLength;
        init => _blockLength = Positive(value, nameof(BlockLength));
    }

    /// <summary>Gets the tokens that each block moves on and scores, after the first, which scores all of its own. Only for
    /// <see cref="EvaluationMode.Strided"/>.</summary>
    /// <value>At least 1, at most the block's length; <see langword="null"/>, the default, for half of it.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public int? Stride
    {
        get => _stride;
        init => _stride = Positive(value, nameof(Stride));
    }

    /// <summary>Gets how many documents are joined before a new stream begins. Not for
    /// <see cref="EndOfTextHandling.SeparateDocuments"/>.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, for one stream of all.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public int? DocumentsPerStream
    {
        get => _documentsPerStream;
        init => _documentsPerStream = Positive(value, nameof(DocumentsPerStream));
    }

    /// <summary>Gets whether the last token that a block predicts is the first that the next one reads, so that every token is
    /// predicted.</summary>
    /// <value><see langword="true"/> by default. Otherwise a block is <see cref="BlockLength"/> tokens that stand for themselves: the
    /// first of them is not predicted, and no end-of-text start precedes the stream. Only <see cref="EvaluationMode.Disjoint"/> allows
    /// that.</value>
    public bool PredictBlockStarts { get; init; } = true;

    /// <summary>Gets whether the last block of a stream (or of a document, where they are separate) is left out when it is not
    /// full.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool DropRemainder { get; init; }

    /// <summary>Gets whether the last block of a stream (or of a document, where they are separate), when it is not full and not the only
    /// one, starts so much earlier that it is. It scores the tokens that are new. Not for <see cref="EvaluationMode.Streaming"/>.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool ShiftLastBlock { get; init; }

    /// <summary>Gets how many blocks are read at a time. Values agree between batch sizes within rounding. Without effect for
    /// <see cref="EvaluationMode.Streaming"/>, which reads one.</summary>
    /// <value>At least 1; <see langword="null"/>, the default, for as many as <c>ScoringTokensPerBatch</c> of the trainer's options
    /// allows, but at least one.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public int? BatchSize
    {
        get => _batchSize;
        init => _batchSize = Positive(value, nameof(BatchSize));
    }

    /// <summary>Gets how many positions in a block make one of <see cref="LanguageModelMetrics.PositionBuckets"/>.</summary>
    /// <value>At least 0; 0, the default, for no buckets.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int PositionBucketSize
    {
        get => _positionBucketSize;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value, nameof(PositionBucketSize));
            _positionBucketSize = value;
        }
    }

    /// <summary>Gets what counts as a word for <see cref="LanguageModelMetrics.WordPerplexity"/>.</summary>
    /// <value><see cref="WordCountRule.Words"/> by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is no such rule.</exception>
    public WordCountRule WordCount
    {
        get => _wordCount;
        init => _wordCount = Defined(value, nameof(WordCount));
    }

    /// <summary>Gets what makes of a document the text that is predicted, as a detokenizer does. Words and bytes are counted in the document
    /// as it was.</summary>
    /// <value><see langword="null"/>, the default, for the document itself. It must not return <see langword="null"/>.</value>
    public Func<string, string>? PrepareText { get; init; }

    private static T Defined<T>(T value, string name)
        where T : struct, Enum => Enum.IsDefined(value)
            ? value
            : throw new ArgumentOutOfRangeException(name, value, $"{name} must be one of {string.Join(", ", Enum.GetNames<T>())}.");

    private static int? Positive(int? value, string name)
    {
        if (value is int number)
            ArgumentOutOfRangeException.ThrowIfLessThan(number, 1, name);
        return value;
    }
}

/// <summary>How much of the text before a token the model predicts it from, where a text is longer than a block.</summary>
public enum EvaluationMode
{
    /// <summary>Blocks one after another, each read without those before it: a token at a block's start has little before it. The
    /// cheapest.</summary>
    Disjoint,

    /// <summary>Overlapping blocks, each <see cref="EvaluationOptions.Stride"/> tokens further on than the one before, of which it scores
    /// the tokens that are new: all but those of the first block have at least a block less a stride before them. Costs as many times
    /// <see cref="Disjoint"/> as the stride goes into the block.</summary>
    Strided,

    /// <summary>Blocks one after another, read in order, with the network's sums carried from each to the next: every token has all of the
    /// text before it, in the windows that the network sees, for the cost of <see cref="Disjoint"/> and in constant memory. Learned
    /// positions begin anew in each block: a network that has them was never trained so. One without them has no such limit.</summary>
    Streaming,
}

/// <summary>What end-of-text tokens do in an evaluation: whether they join documents to a stream, and whether they are predicted
/// themselves.</summary>
public enum EndOfTextHandling
{
    /// <summary>Each document is read for itself. Its first token is predicted from an end-of-text start, its end is not predicted, and no
    /// block reaches from one document into another.</summary>
    SeparateDocuments,

    /// <summary>Documents are joined to one stream as in training: an end-of-text start, then each document with an end-of-text token after
    /// it, or one after each of its lines where the tokenizer works so. Blocks reach over documents, and every token is predicted, the
    /// end-of-text tokens too.</summary>
    Scored,

    /// <summary>The stream of <see cref="Scored"/>. Its end-of-text tokens are read as context, but not predicted and not
    /// counted.</summary>
    NotScored,
}

/// <summary>What counts as a word of a text.</summary>
public enum WordCountRule
{
    /// <summary>Each stretch of characters without white space.</summary>
    Words,

    /// <summary>Each piece that <c>re.split(r"\s+", text)</c> gives in Python: as <see cref="Words"/>, and one more for white space at the
    /// start and one for white space at the end of a text.</summary>
    PythonSplit,
}
