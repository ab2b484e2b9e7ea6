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
