namespace Microsoft.ML.Leap;

/// <summary>Encodes, scores and continues texts with one network, tokenizer and settings. Thread-safe.</summary>
internal sealed class TextEvaluator(LeapModel model, LeapTokenizer tokenizer, ScoringSettings settings, BigramCounts? counts = null) : IDisposable
{
    private readonly RecurrentNetwork _network = new(model);
    private readonly TextScorer _scorer = new(model, tokenizer.EndOfTextId, settings.TokensPerBatch);
    private readonly FocusScorer _focusScorer = new(model, tokenizer.EndOfTextId, settings.TokensPerBatch);

    /// <summary>Gets what continues texts.</summary>
    public TextGenerator Generator => field ??= new TextGenerator(_network, tokenizer);

    public void Dispose() => _network.Dispose();

    public IReadOnlyList<int> Encode(ReadOnlyMemory<char> text)
    {
        List<int> ids = [];
        tokenizer.Encode(text.Span, ids);
        return ids;
    }

    /// <summary>Gives what the counted models make of a text; <see langword="null"/> where there are none.</summary>
    public BaselineScore? ScoreByCounts(ReadOnlyMemory<char> text) => counts?.Score(Encode(text), tokenizer.EndOfTextId);

    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows) => _scorer.Score(rows);

    public float[][] Focus(IReadOnlyList<IReadOnlyList<int>> rows) => _focusScorer.Score(rows);

    /// <summary>Continues rows' texts; an empty one gets none. A seed depends on its text alone, so that the value is the same in whatever row,
    /// batch or cursor it is computed.</summary>
    public string[] GenerateFor(IReadOnlyList<ReadOnlyMemory<char>> texts, IReadOnlyList<IReadOnlyList<int>> ids)
    {
        GenerationOptions options = settings.Generation;
        int[] rows = [.. Enumerable.Range(0, texts.Count).Where(row => ids[row].Count > 0)];
        GenerationResult[] results = Generator.Complete([.. rows.Select(row => (ids[row], options, Seed(texts[row])))], CancellationToken.None);
        string[] generated = new string[texts.Count];
        Array.Fill(generated, string.Empty);
        for (int i = 0; i < rows.Length; i++)
            generated[rows[i]] = results[i].Text;
        return generated;
    }

    private int Seed(ReadOnlyMemory<char> text) => (settings.Generation.Seed ?? settings.GenerationSeed) ^ StableHash(text.Span);

    // string.GetHashCode differs from process to process; this is 32-bit FNV-1a over UTF-16 units.
    private static int StableHash(ReadOnlySpan<char> text)
    {
        uint hash = 2166136261;
        foreach (char unit in text)
            hash = (hash ^ unit) * 16777619;
        return (int)hash;
    }
}
