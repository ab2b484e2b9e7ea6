namespace Microsoft.ML.Leap;

/// <summary>Gives rows of token ids their log-likelihood.</summary>
/// <param name="computeLosses">Predicts by the network and the counted n-grams.</param>
/// <param name="memory">The model's memory; <see langword="null"/> for the network alone.</param>
/// <param name="workers">The threads to share other work among.</param>
/// <param name="reading">How long rows are read.</param>
/// <param name="endOfTextId">The token before a row.</param>
internal sealed class TextScorer(ComputeLosses computeLosses, ModelMemory? memory, WorkSharing workers, ReadingPlan reading, int endOfTextId)
{
    private const int ChunkWindows = 512;

    /// <summary>Scores rows. Each token is predicted once, the first from an end-of-text start.</summary>
    /// <param name="rows">The rows' token ids.</param>
    /// <param name="tokens">For each row an array that takes its tokens' log-likelihoods in nats; null where nobody asks for them.</param>
    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows, float[][]? tokens = null)
    {
        // Loops and arrays, here and in what this calls: LINQ over structures is compiled only when it is called, and the first score of a process
        // would wait for it.
        double[] sums = new double[rows.Count];
        var windows = new ScoringWindow[ChunkWindows];
        int count = 0;
        for (int row = 0; row < rows.Count; row++)
        {
            foreach (ScoringWindow window in reading.Cover(row, rows[row].Count))
            {
                windows[count++] = window;
                if (count < ChunkWindows)
                    continue;
                Score(rows, windows, count, sums, tokens);
                count = 0;
            }
        }

        Score(rows, windows, count, sums, tokens);
        var scores = new TextScore[rows.Count];
        for (int row = 0; row < scores.Length; row++)
            scores[row] = rows[row].Count == 0 ? TextScore.Missing : new TextScore(sums[row], rows[row].Count);
        return scores;
    }

    private void Score(IReadOnlyList<IReadOnlyList<int>> rows, ScoringWindow[] windows, int count, double[] sums, float[][]? tokens)
    {
        if (count == 0)
            return;
        var blocks = new EvaluationBlock[count];
        for (int i = 0; i < count; i++)
            blocks[i] = windows[i].ToBlock(rows[windows[i].Row], endOfTextId);
        double[][] losses = computeLosses(blocks, null, memory);
        if (memory is not null)
            MixTextMemory(rows, windows.AsMemory(0, count), losses);
        for (int i = 0; i < count; i++)
        {
            double sum = 0;
            for (int t = 0; t < losses[i].Length; t++)
            {
                sum += losses[i][t];
                if (tokens is not null)
                    tokens[windows[i].Row][windows[i].FirstScored + t] = (float)-losses[i][t];
            }

            sums[windows[i].Row] -= sum;
        }
    }

    // A window does not see all that its row has said.
    private void MixTextMemory(IReadOnlyList<IReadOnlyList<int>> rows, ReadOnlyMemory<ScoringWindow> windows, double[][] losses) => workers.For(
        windows.Length,
        CountScored(windows.Span) * TextMemory.Cost,
        i =>
        {
            ScoringWindow window = windows.Span[i];
            int start = Math.Max(0, window.FirstScored - TextMemory.Reach);
            int[] ids = new int[1 + window.End - start];
            ids[0] = start == 0 ? endOfTextId : rows[window.Row][start - 1];
            for (int k = 1; k < ids.Length; k++)
                ids[k] = rows[window.Row][start + k - 1];
            memory!.CreateTextMemory().Mix(ids, 1 + window.FirstScored - start, losses[i]);
        });

    private static long CountScored(ReadOnlySpan<ScoringWindow> windows)
    {
        long count = 0;
        foreach (ScoringWindow window in windows)
            count += window.End - window.FirstScored;
        return count;
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

/// <summary>How rows are read that are longer than what is read at once.</summary>
/// <param name="Length">The most tokens of a window.</param>
/// <param name="Before">The tokens before a window's first that counts, where the row has so many: fewer than <paramref name="Length"/>.</param>
internal readonly record struct ReadingPlan(int Length, int Before)
{
    /// <summary>Gives the plan of a network: half a context before a token is enough.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="reserved">Tokens that a window needs besides those of the row.</param>
    public static ReadingPlan Of(LeapConfig config, int reserved = 0)
    {
        int length = Math.Max(1, config.ReadingLength - reserved);
        return new ReadingPlan(length, Math.Min(config.ContextLength, length) / 2);
    }

    /// <summary>Gives the plan of a network that reads no more than its context.</summary>
    public static ReadingPlan OfContext(int contextLength) => new(contextLength, contextLength / 2);

    /// <summary>Covers rows, one after another.</summary>
    public IEnumerable<ScoringWindow> Cover(IReadOnlyList<IReadOnlyList<int>> rows)
    {
        ReadingPlan plan = this;
        return Enumerable.Range(0, rows.Count).SelectMany(row => plan.Cover(row, rows[row].Count));
    }

    /// <summary>Covers a row of <paramref name="tokenCount"/> tokens so that each counts in exactly one window. The first window starts at
    /// the row's start.</summary>
    public IEnumerable<ScoringWindow> Cover(int row, int tokenCount)
    {
        int scored = 0;
        while (scored < tokenCount)
        {
            int start = Math.Max(0, scored - Before);
            int end = Math.Min(tokenCount, start + Length);
            yield return new ScoringWindow(row, start, scored, end);
            scored = end;
        }
    }
}

/// <summary>A stretch of a row that is read in one pass: tokens [Start, End) are read after the token before them (or the end-of-text
/// start), and those from FirstScored on count.</summary>
internal readonly record struct ScoringWindow(int Row, int Start, int FirstScored, int End)
{
    public int Length => End - Start;

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
