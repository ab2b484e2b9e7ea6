namespace Microsoft.ML.Leap;

/// <summary>Gives rows of token ids their log-likelihood.</summary>
internal sealed class TextScorer(ComputePredictions predict, ModelMemory? memory, int contextLength, int endOfTextId)
{
    private const int ChunkWindows = 512;

    /// <summary>Scores rows. Each token is predicted once, the first from an end-of-text start.</summary>
    /// <param name="rows">The rows' token ids.</param>
    /// <param name="tokens">For each row an array that takes its tokens' log-likelihoods in nats; null where nobody asks for them.</param>
    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows, float[][]? tokens = null)
    {
        double[] sums = new double[rows.Count];
        foreach (ScoringWindow[] chunk in ScoringWindow.Cover(rows, contextLength).Chunk(ChunkWindows))
        {
            EvaluationBlock[] blocks = [.. chunk.Select(window => window.ToBlock(rows[window.Row], endOfTextId))];
            double[][] losses = BlockPredictions.GetLosses(blocks, predict(blocks, null), memory);
            for (int i = 0; i < chunk.Length; i++)
            {
                sums[chunk[i].Row] -= losses[i].Sum();
                for (int t = 0; tokens is not null && t < losses[i].Length; t++)
                    tokens[chunk[i].Row][chunk[i].FirstScored + t] = (float)-losses[i][t];
            }
        }

        return [.. rows.Select((ids, row) => ids.Count == 0 ? TextScore.Missing : new TextScore(sums[row], ids.Count))];
    }

    /// <summary>Scores rows in their order, each with what was read before in mind.</summary>
    /// <param name="rows">The rows' token ids.</param>
    /// <param name="running">Reads a row when its score is asked for.</param>
    public IEnumerable<TextScore> Score(IReadOnlyList<IReadOnlyList<int>> rows, RunningMemory running)
    {
        float[][] likelihoods = [.. rows.Select(ids => new float[ids.Count])];
        Score(rows, likelihoods);
        return rows.Zip(likelihoods, (ids, tokens) =>
        {
            running.StartText();
            double sum = 0;
            for (int i = 0; i < tokens.Length; i++)
                sum += Math.Log(running.Read(ids[i], Math.Exp(tokens[i])));
            return tokens.Length == 0 ? TextScore.Missing : new TextScore(sum, tokens.Length);
        });
    }
}

/// <summary>A stretch of a row that is read in one pass: tokens [Start, End) are read after the token before them (or the end-of-text
/// start), and those from FirstScored on count.</summary>
internal readonly record struct ScoringWindow(int Row, int Start, int FirstScored, int End)
{
    public int Length => End - Start;

    /// <summary>Covers rows, one after another.</summary>
    public static IEnumerable<ScoringWindow> Cover(IReadOnlyList<IReadOnlyList<int>> rows, int contextLength) =>
        Enumerable.Range(0, rows.Count).SelectMany(row => Cover(row, rows[row].Count, contextLength));

    /// <summary>Covers a row of <paramref name="tokenCount"/> tokens so that each counts in exactly one window. The first window starts at
    /// the row's start; each further one moves on by half a context and scores its second half, so that a token of a long row is predicted
    /// from at least half a context.</summary>
    public static IEnumerable<ScoringWindow> Cover(int row, int tokenCount, int contextLength)
    {
        int scored = 0;
        while (scored < tokenCount)
        {
            int start = scored == 0 ? 0 : Math.Max(0, scored - contextLength / 2);
            int end = Math.Min(tokenCount, start + contextLength);
            yield return new ScoringWindow(row, start, scored, end);
            scored = end;
        }
    }

    /// <summary>Gives the window's ids after the one before it.</summary>
    public EvaluationBlock ToBlock(IReadOnlyList<int> row, int endOfTextId)
    {
        int[] ids = new int[Length + 1];
        ids[0] = Start == 0 ? endOfTextId : row[Start - 1];
        for (int i = 0; i < Length; i++)
            ids[i + 1] = row[Start + i];
        return new EvaluationBlock(ids, FirstScored - Start, StartsStream: true);
    }
}

/// <summary>How well a model predicts a text.</summary>
/// <param name="LogLikelihood">The summed log-likelihood of the text's tokens in nats: at most 0; NaN of a text without tokens.</param>
/// <param name="TokenCount">The number of the text's tokens.</param>
public readonly record struct TextScore(double LogLikelihood, int TokenCount)
{
    internal static readonly TextScore Missing = new(double.NaN, 0);

    /// <summary>Gets the perplexity per token: the number of equally likely tokens that would be as hard to guess. At least 1; NaN of a text
    /// without tokens.</summary>
    public double Perplexity => Math.Exp(-LogLikelihood / TokenCount);
}
