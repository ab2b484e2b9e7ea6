using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Reads a corpus as blocks: one document at a time is in memory.</summary>
internal sealed class CorpusBlocks(LeapTokenizer tokenizer, EvaluationOptions options, BlockPlan plan, BigramCounts? counts)
{
    private readonly bool _isSeparate = options.EndOfText == EndOfTextHandling.SeparateDocuments;

    /// <summary>Gets the counts of what has been read.</summary>
    public CorpusCounts Counts { get; } = new(options.WordCount);

    /// <summary>Gets what the counted models make of what has been read; <see langword="null"/> where there are none.</summary>
    public BaselineScore? Baseline { get; private set; }

    /// <summary>Reads the blocks of all documents, in order.</summary>
    public IEnumerable<EvaluationBlock> Read(IEnumerable<ReadOnlyMemory<char>> texts, CancellationToken cancellationToken)
    {
        var cutter = new BlockCutter(plan);
        List<int> ids = [];
        long read = 0;
        foreach (ReadOnlyMemory<char> text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ids.Clear();
            Encode(text, ids);
            Counts.Add(text.Span, ids.Count);
            Baseline = counts is null ? null : (Baseline ?? default) + counts.Score(ids, tokenizer.EndOfTextId);
            read++;
            foreach (int id in ids)
            {
                if (cutter.Add(id) is EvaluationBlock block)
                    yield return block;
            }

            if ((_isSeparate || read % options.DocumentsPerStream == 0) && cutter.End() is EvaluationBlock end)
                yield return end;
        }

        if (cutter.End() is EvaluationBlock last)
            yield return last;
    }

    private void Encode(ReadOnlyMemory<char> text, List<int> ids)
    {
        if (options.PrepareText is Func<string, string> prepare)
        {
            string prepared = prepare(text.ToString());
            text = prepared?.AsMemory() ?? throw new InvalidOperationException("EvaluationOptions.PrepareText returned null for a text.");
        }

        if (_isSeparate)
            tokenizer.Encode(text.Span, ids);
        else
            tokenizer.EncodeInStream(text.Span, ids);
    }
}

/// <summary>Ids that are read in one pass: all but the last are read, and at each position from <paramref name="FirstScored"/> on the id
/// that follows is predicted and counts.</summary>
/// <param name="Ids">At least 2 ids.</param>
/// <param name="FirstScored">The first position that counts.</param>
/// <param name="StartsStream">Whether nothing of the stream comes before.</param>
internal readonly record struct EvaluationBlock(int[] Ids, int FirstScored, bool StartsStream)
{
    /// <summary>Gets the number of ids that are read.</summary>
    public int Length => Ids.Length - 1;
}

/// <summary>Cuts streams of ids, of whatever length, into blocks, and holds two blocks at most.</summary>
internal sealed class BlockCutter(BlockPlan plan)
{
    // Grows with what is read: a plan may allow more than any text has.
    private readonly List<int> _ids = [];
    private int[]? _previous;

    // Ids at the start of the block that do not count: the first has nothing before it, others have been predicted by the block before.
    private int _kept = 1;

    /// <summary>Adds the stream's next id.</summary>
    /// <returns>The block that it filled, if any.</returns>
    public EvaluationBlock? Add(int id)
    {
        if (_ids.Count == 0 && _previous is null && plan.StartId is int start)
            _ids.Add(start);
        _ids.Add(id);
        return _ids.Count == plan.Size ? CutFull() : null;
    }

    /// <summary>Ends the stream; what is added from now on is another one.</summary>
    /// <returns>The stream's last block, if anything is left to score and not to be dropped.</returns>
    public EvaluationBlock? End()
    {
        EvaluationBlock? last = _ids.Count > _kept && !plan.DropsRemainder ? CutRemainder() : null;
        _previous = null;
        _ids.Clear();
        _kept = 1;
        return last;
    }

    private EvaluationBlock CutFull()
    {
        var block = new EvaluationBlock([.. _ids], _kept - 1, _previous is null);
        _ids.RemoveRange(0, plan.Advance);
        _kept = Math.Max(1, _ids.Count);
        _previous = block.Ids;
        return block;
    }

    private EvaluationBlock CutRemainder()
    {
        if (_previous is null || !plan.ShiftsLast)
            return new EvaluationBlock([.. _ids], _kept - 1, _previous is null);
        int missing = plan.Size - _ids.Count;
        return new EvaluationBlock([.. _previous.AsSpan(plan.Advance - missing, missing), .. _ids], missing + _kept - 1, false);
    }
}

/// <summary>Counts the documents, words and bytes of a corpus as it is read.</summary>
internal sealed class CorpusCounts(WordCountRule rule)
{
    public long Documents { get; private set; }

    public long Words { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>Counts a text; it is a document if it gave tokens.</summary>
    public void Add(ReadOnlySpan<char> text, int tokenCount)
    {
        Documents += tokenCount > 0 ? 1 : 0;
        Words += WordCounter.Count(text, rule);
        Bytes += Encoding.UTF8.GetByteCount(text);
    }
}

/// <summary>How streams of ids are cut into blocks.</summary>
internal sealed record BlockPlan
{
    /// <summary>Ids of a full block: one more than the network reads of it, at least 2.</summary>
    public required int Size { get; init; }

    /// <summary>Ids that each block starts after the one before: at least 1, at most <see cref="Size"/>.</summary>
    public required int Advance { get; init; }

    /// <summary>The id that is put before a stream; <see langword="null"/> for none.</summary>
    public required int? StartId { get; init; }

    public bool DropsRemainder { get; init; }

    public bool ShiftsLast { get; init; }

    /// <summary>Makes the plan of an evaluation, and checks that its options fit together and fit the model.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public static BlockPlan Create(EvaluationOptions options, int contextLength, int endOfTextId)
    {
        int length = options.BlockLength ?? contextLength;
        RequireFits(options, nameof(EvaluationOptions.BlockLength), length, contextLength, "the model's context length");

        // A block is an array: with the id before it no longer than one can be.
        length = Math.Min(length, Array.MaxLength - 1);
        RequireFits(options, nameof(EvaluationOptions.Stride), options.Stride ?? 1, length, "the block's length");
        Require(
            options,
            options.Stride is null || options.Mode == EvaluationMode.Strided,
            $"Stride is for the mode Strided, but the mode is {options.Mode}; leave it out.");
        Require(
            options,
            options.DocumentsPerStream is null || options.EndOfText != EndOfTextHandling.SeparateDocuments,
            "DocumentsPerStream joins documents, but EndOfText is SeparateDocuments; leave one of them out.");
        if (!options.PredictBlockStarts)
            RequireCanStandAlone(options, length);
        if (options.ShiftLastBlock)
            RequireCanShift(options);

        return new BlockPlan
        {
            Size = options.PredictBlockStarts ? length + 1 : length,
            Advance = options.Mode == EvaluationMode.Strided ? options.Stride ?? Math.Max(1, length / 2) : length,
            StartId = options.PredictBlockStarts ? endOfTextId : null,
            DropsRemainder = options.DropRemainder,
            ShiftsLast = options.ShiftLastBlock,
        };
    }

    private static void RequireCanStandAlone(EvaluationOptions options, int length)
    {
        Require(
            options,
            options.Mode == EvaluationMode.Disjoint,
            $"Blocks that share no borders are for the mode Disjoint, but the mode is {options.Mode}; set PredictBlockStarts.");
        Require(options, length >= 2, "Blocks that share no borders predict all but their first token, so BlockLength must be at least 2.");
    }

    private static void RequireCanShift(EvaluationOptions options)
    {
        Require(options, !options.DropRemainder, "DropRemainder leaves out the block that ShiftLastBlock shifts; set one of them.");
        Require(options, options.PredictBlockStarts, "ShiftLastBlock is for blocks that share borders; set PredictBlockStarts, or leave it out.");
        Require(options, options.Mode != EvaluationMode.Streaming, "ShiftLastBlock reads tokens twice, which the mode Streaming cannot; leave it out.");
    }

    private static void RequireFits(EvaluationOptions options, string name, int value, int limit, string limitName)
    {
        if (value > limit)
            throw new ArgumentOutOfRangeException(nameof(options), value, $"{name} must be at most {limitName}, {limit}, but it is {value}.");
    }

    private static void Require(EvaluationOptions options, bool condition, string message)
    {
        if (!condition)
            throw new ArgumentException(message, nameof(options));
    }
}
