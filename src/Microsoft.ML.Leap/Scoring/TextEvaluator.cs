namespace Microsoft.ML.Leap;

/// <summary>Encodes, scores and continues texts with one network, tokenizer and settings. Thread-safe.</summary>
internal sealed class TextEvaluator(LeapModel model, LeapTokenizer tokenizer, ScoringSettings settings)
{
    private readonly TextScorer _scorer = new(model, tokenizer.EndOfTextId, settings.TokensPerBatch);
    private readonly FocusScorer _focusScorer = new(model, tokenizer.EndOfTextId, settings.TokensPerBatch);

    public IReadOnlyList<int> Encode(ReadOnlyMemory<char> text)
    {
        List<int> ids = [];
        tokenizer.Encode(text.Span, ids);
        return ids;
    }

    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows) => _scorer.Score(rows);

    public float[][] Focus(IReadOnlyList<IReadOnlyList<int>> rows) => _focusScorer.Score(rows);

    /// <summary>Continues a row's text. The seed depends on the text alone, so that the value is the same in whatever row, batch or cursor
    /// it is computed.</summary>
    public string GenerateFor(ReadOnlyMemory<char> text, IReadOnlyList<int> ids)
    {
        if (ids.Count == 0)
            return string.Empty;
        int seed = (settings.Generation.Seed ?? settings.GenerationSeed) ^ StableHash(text.Span);
        return Generate(ids, settings.Generation, seed, CancellationToken.None);
    }

    public string Generate(IReadOnlyList<int> ids, GenerationOptions options, int seed, CancellationToken cancellationToken) =>
        tokenizer.Decode(TextGenerator.Continue(model, ids, tokenizer, options, seed, cancellationToken));

    // string.GetHashCode differs from process to process; this is 32-bit FNV-1a over UTF-16 units.
    private static int StableHash(ReadOnlySpan<char> text)
    {
        uint hash = 2166136261;
        foreach (char unit in text)
            hash = (hash ^ unit) * 16777619;
        return (int)hash;
    }
}
