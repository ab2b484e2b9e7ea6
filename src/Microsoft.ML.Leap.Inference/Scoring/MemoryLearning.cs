namespace Microsoft.ML.Leap;

/// <summary>Makes the memory of a trained network.</summary>
internal static class MemoryLearning
{
    // A vocabulary of bytes, or little more, needs longer n-grams.
    private const int FewTokens = 320;
    private const int OrderOfBytes = 12;
    private const int Order = 5;

    // Bounds the memory that counting takes; later text changes the counts of so many tokens little.
    private const long MostTokens = 8_000_000;

    /// <summary>Gives the tokens of the longest n-grams that are worth counting.</summary>
    public static int ChooseOrder(int vocabularySize) => vocabularySize <= FewTokens ? OrderOfBytes : Order;

    /// <summary>Counts documents, and learns from others how far to trust the counts.</summary>
    /// <param name="documents">The training documents, each with the end-of-text token after it.</param>
    /// <param name="heldOut">Documents that nothing was trained on, without that token; none to let both models count alike.</param>
    /// <param name="predict">Predicts by the trained network, with confidences.</param>
    /// <param name="contextLength">The longest text in tokens that it sees at once.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="maximumBytes">Memory that the n-grams may take.</param>
    public static ModelMemory Learn(
        IEnumerable<int[]> documents, IReadOnlyList<int[]> heldOut, ComputePredictions predict, int contextLength, LeapTokenizer tokenizer, long maximumBytes)
    {
        var counts = new NGramModel(ChooseOrder(tokenizer.VocabularySize), tokenizer.VocabularySize);
        long tokens = 0;
        foreach (int[] document in documents.TakeWhile(_ => tokens < MostTokens))
        {
            counts.Add(document);
            tokens += document.Length;
        }

        NGramMemory ngrams = NGramMemory.Create(counts, maximumBytes);
        MemoryGate gate = heldOut.Count == 0
            ? MemoryGate.CreateEven(ngrams.Order)
            : MemoryGate.Learn(ngrams.Order, Predict(ngrams, heldOut, predict, contextLength, tokenizer.EndOfTextId));
        return new ModelMemory(ngrams, gate, tokenizer.EndOfTextId);
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
