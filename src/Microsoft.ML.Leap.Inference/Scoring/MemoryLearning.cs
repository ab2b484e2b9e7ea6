namespace Microsoft.ML.Leap;

/// <summary>Predicts a block that stands for itself by a network.</summary>
/// <param name="block">The block.</param>
/// <returns>The logits of each id that counts, [V] each.</returns>
internal delegate float[][] ComputeLogits(EvaluationBlock block);

/// <summary>Makes the memory of a trained network: counts documents, and learns from others how much the counts count.</summary>
internal sealed class MemoryLearning
{
    // Bounds the memory that counting takes; later text changes the counts of so many tokens little.
    private const long MostTokens = 8_000_000;

    // Of each model, all in memory while the exponents are learned.
    private const int MostLogits = 16_000_000;

    // Of many tokens, those of so many places at least: neighbours may be alike.
    private const int LeastWindows = 16;

    // A longer row counts as one of so many tokens: one that repeats itself all over must not speak for all.
    private const double MostOfRow = 100;

    private readonly NGramModel _counts;
    private readonly int _endOfTextId;
    private readonly long _maximumBytes;
    private NGramMemory _ngrams;
    private MemoryExponents _exponents = MemoryExponents.Default;
    private TextGate _gate = TextGate.Default;
    private long _tokens;

    /// <summary>Counts documents; how much they count is not learned yet.</summary>
    /// <param name="documents">The training documents, each with the end-of-text token after it.</param>
    /// <param name="vocabularySize">The token ids that there are.</param>
    /// <param name="endOfTextId">The id of the end-of-text token.</param>
    /// <param name="maximumBytes">Memory that the n-grams may take.</param>
    public MemoryLearning(IEnumerable<int[]> documents, int vocabularySize, int endOfTextId, long maximumBytes)
    {
        _counts = new NGramModel(ModelMemory.ChooseOrder(vocabularySize), vocabularySize);
        _endOfTextId = endOfTextId;
        _maximumBytes = maximumBytes;
        _ngrams = Count(documents);
    }

    /// <summary>Gets the memory, as far as it is learned.</summary>
    public ModelMemory Memory => new(_ngrams, _exponents, _gate, _endOfTextId);

    /// <summary>Learns how much the counts count beside the network, and what a text itself said beside both.</summary>
    /// <param name="heldOut">Documents that nothing was trained on, without the end-of-text token.</param>
    /// <param name="computeLogits">Predicts by the trained network.</param>
    /// <param name="contextLength">The longest text in tokens that it sees at once.</param>
    public void LearnExponents(IReadOnlyList<int[]> heldOut, ComputeLogits computeLogits, int contextLength)
    {
        ScoringWindow[] windows = [.. ReadingPlan.OfContext(contextLength).Cover(heldOut)];
        int most = Math.Max(1, MostLogits / _ngrams.VocabularySize);
        long stride = Math.Clamp(heldOut.Sum(row => (long)row.Length) / most, 1, Math.Max(1, windows.Length / LeastWindows));
        ScoringWindow[] chosen = [.. windows.Where((_, i) => i % stride == 0)];
        List<HeldOutToken> tokens = [];
        List<(TextMatch Match, double Weight)> matches = [];
        NGramMemory.Reader reader = Memory.CreateReader();
        TextMemory textMemory = Memory.CreateTextMemory();
        foreach (ScoringWindow window in chosen)
        {
            EvaluationBlock block = window.ToBlock(heldOut[window.Row], _endOfTextId);
            Add(block with { FirstScored = Math.Max(block.FirstScored, block.Length - 1 - most / chosen.Length) }, [_endOfTextId, .. heldOut[window.Row]], window.Start);
        }

        if (tokens.Count == 0)
            return;
        _exponents = MemoryExponents.Learn(tokens);
        _gate = TextGate.Learn([.. tokens.Zip(matches, (token, its) => (Math.Exp(_exponents.GetLogLikelihood(token)), its.Match, its.Weight))]);

        void Add(EvaluationBlock block, int[] text, int start)
        {
            float[][] network = computeLogits(block);
            reader.Start(block.Ids[0]);
            for (int i = 0; i < block.Length; i++)
            {
                int target = block.Ids[i + 1];
                if (i >= block.FirstScored)
                {
                    float[] memory = new float[network[i - block.FirstScored].Length];
                    ModelMemory.WriteLogarithms(reader, memory);
                    tokens.Add(new HeldOutToken(network[i - block.FirstScored], memory, target, ModelMemory.GetContext(reader)));
                    matches.Add((textMemory.Match(text.AsSpan(0, start + i + 1), target), Math.Min(1, MostOfRow / text.Length)));
                }

                reader.Read(target);
            }
        }
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
}
