namespace Microsoft.ML.Leap;

/// <summary>Makes the memory of a trained network: counts documents, and learns from others how far to trust the counts.</summary>
internal sealed class MemoryLearning
{
    // Bounds the memory that counting takes; later text changes the counts of so many tokens little.
    private const long MostTokens = 8_000_000;

    private readonly NGramModel _counts;
    private readonly LeapTokenizer _tokenizer;
    private readonly long _maximumBytes;
    private NGramMemory _ngrams;
    private MemoryGate _gate;
    private long _tokens;

    /// <summary>Counts documents; no gate is learned yet, so that both models count alike.</summary>
    /// <param name="documents">The training documents, each with the end-of-text token after it.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="maximumBytes">Memory that the n-grams may take.</param>
    public MemoryLearning(IEnumerable<int[]> documents, LeapTokenizer tokenizer, long maximumBytes)
    {
        _counts = new NGramModel(ModelMemory.ChooseOrder(tokenizer.VocabularySize), tokenizer.VocabularySize);
        _tokenizer = tokenizer;
        _maximumBytes = maximumBytes;
        _ngrams = Count(documents);
        _gate = MemoryGate.CreateEven(_ngrams.Order);
    }

    /// <summary>Gets the memory, as far as it is learned.</summary>
    public ModelMemory Memory => new(_ngrams, _gate, _tokenizer.EndOfTextId);

    /// <summary>Learns how far to trust the counts.</summary>
    /// <param name="heldOut">Documents that nothing was trained on, without the end-of-text token.</param>
    /// <param name="predict">Predicts by the trained network, with confidences.</param>
    /// <param name="contextLength">The longest text in tokens that it sees at once.</param>
    public void LearnGate(IReadOnlyList<int[]> heldOut, ComputePredictions predict, int contextLength)
    {
        if (heldOut.Count > 0)
            _gate = MemoryGate.Learn(_ngrams.Order, Predict(_ngrams, heldOut, predict, contextLength, _tokenizer.EndOfTextId));
    }

    /// <summary>Counts the held-out documents too, once nothing more is to be learned from them: of few rows each one tells.</summary>
    /// <param name="heldOut">The documents, each with the end-of-text token after it.</param>
    public void CountHeldOut(IReadOnlyList<int[]> heldOut)
    {
        // Fewer are not worth making the memory once more.
        const int LeastPart = 100;
        if (heldOut.Sum(document => (long)document.Length) >= _tokens / LeastPart)
            _ngrams = Count(heldOut);
    }

    private NGramMemory Count(IEnumerable<int[]> documents)
    {
        foreach (int[] document in documents.TakeWhile(_ => _tokens < MostTokens))
        {
            _counts.Add(document);
            _tokens += document.Length;
        }

        return NGramMemory.Create(_counts, _maximumBytes);
    }

    private static List<(GateInput Input, double Network, double Memory)> Predict(
        NGramMemory ngrams, IReadOnlyList<int[]> rows, ComputePredictions predict, int contextLength, int endOfTextId)
    {
        EvaluationBlock[] blocks =
            [.. ScoringWindow.Cover(rows, contextLength).Select(window => window.ToBlock(rows[window.Row], endOfTextId))];
        TokenPrediction[][] predictions = predict(blocks, null);
        var reader = new NGramMemory.Reader(ngrams, endOfTextId);
        List<(GateInput Input, double Network, double Memory)> tokens = [];
        for (int b = 0; b < blocks.Length; b++)
        {
            int[] ids = blocks[b].Ids;
            reader.Start(ids[0]);
            foreach (int id in ids.AsSpan(1, blocks[b].FirstScored))
                reader.Read(id);
            for (int i = 0; i < predictions[b].Length; i++)
            {
                var input = new GateInput(reader.Matched, reader.Left, predictions[b][i].Confidence);
                double remembered = reader.Read(ids[blocks[b].FirstScored + 1 + i]);
                tokens.Add((input, Math.Exp(-predictions[b][i].Loss), remembered));
            }
        }

        return tokens;
    }
}
