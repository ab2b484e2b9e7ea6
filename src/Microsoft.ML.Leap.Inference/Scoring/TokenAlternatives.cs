namespace Microsoft.ML.Leap;

/// <summary>A token of a text, and what the model expected in its place.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="LogProbability">Natural logarithm of the probability that the model gave it.</param>
/// <param name="Alternatives">The tokens that the model found likeliest in its place, best first; the token itself may be among them.</param>
public sealed record ScoredToken(int Id, double LogProbability, IReadOnlyList<TokenLogProbability> Alternatives);

/// <summary>Finds the tokens that a model expects at each place of a text. Thread-safe.</summary>
internal sealed unsafe class TokenAlternatives(LeapNetwork network, ModelMemory? memory, LeapTokenizer tokenizer)
{
    // Rows whose logits are in memory at once.
    private const int TileRows = 16;

    // What a row takes besides its product, in multiplications per token of the vocabulary.
    private const int RankCost = 64;

    /// <summary>Scores each token, the first from an end-of-text start.</summary>
    /// <param name="scorer">Gives the tokens their likelihoods.</param>
    /// <param name="ids">The text's tokens.</param>
    /// <param name="count">How many alternatives each gets.</param>
    public ScoredToken[] Score(TextScorer scorer, IReadOnlyList<int> ids, int count)
    {
        float[] likelihoods = new float[ids.Count];
        scorer.Score([ids], [likelihoods]);
        TokenLogProbability[]?[] alternatives = count == 0 ? new TokenLogProbability[ids.Count][] : Find(ids, count);
        return [.. ids.Select((id, i) => new ScoredToken(id, likelihoods[i], alternatives[i] is { } best ? Agree(best, id, likelihoods[i]) : []))];
    }

    // The scorer sums up in another order: one number for one token.
    private static TokenLogProbability[] Agree(TokenLogProbability[] best, int id, float likelihood) =>
        Array.ConvertAll(best, token => token.Id == id ? token with { LogProbability = likelihood } : token);

    private TokenLogProbability[][] Find(IReadOnlyList<int> ids, int count)
    {
        var found = new TokenLogProbability[ids.Count][];
        int vocabulary = network.Config.VocabularySize;
        float[] logits = new float[TileRows * vocabulary];
        int[] text = [tokenizer.EndOfTextId, .. ids];
        foreach (ScoringWindow window in ReadingPlan.Of(network.Config).Cover(0, ids.Count))
        {
            EvaluationBlock block = window.ToBlock(ids, tokenizer.EndOfTextId);
            network.Forward([block.Ids.AsMemory(0, block.Length)], null, (_, first, rows, hidden) =>
            {
                for (int row = Math.Max(0, block.FirstScored - first); row < rows; row += TileRows)
                {
                    int start = row;
                    int n = Math.Min(TileRows, rows - row);
                    fixed (float* target = logits)
                        network.Logits(hidden + (long)row * network.Config.HiddenSize, n, target);
                    network.Workers.For(n, (long)n * RankCost * vocabulary, i =>
                    {
                        int place = first + start + i;
                        found[window.Start + place] = Rank(
                            logits.AsSpan(i * vocabulary, vocabulary), block.Ids.AsSpan(0, place + 1), text.AsSpan(0, window.Start + place + 1), count);
                    });
                }
            });
        }

        return found;
    }

    // The n-grams begin anew with each window, as where the window is scored.
    private TokenLogProbability[] Rank(Span<float> logits, ReadOnlySpan<int> window, ReadOnlySpan<int> text, int count)
    {
        memory?.Mix(logits, window[^Math.Min(memory.ContextLength, window.Length)..]);
        memory?.CreateTextMemory().Mix(logits, text);

        // A checkpoint's vocabulary may be padded beyond the tokenizer's ids, which are never named, but have their part of the probability.
        double logSum = LogProbabilities.LogSum(logits);
        ReadOnlySpan<float> known = logits[..tokenizer.VocabularySize];
        int[] best = LogProbabilities.Best(known, count);
        var tokens = new TokenLogProbability[best.Length];
        for (int i = 0; i < best.Length; i++)
            tokens[i] = new TokenLogProbability(best[i], tokenizer.GetTokenText(best[i]), known[best[i]] - logSum);
        return tokens;
    }
}
