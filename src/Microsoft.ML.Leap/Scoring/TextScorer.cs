using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Gives texts their log-likelihood under a network, in batches of windows of like length.</summary>
internal sealed class TextScorer(LeapModel model, int endOfTextId, int tokensPerBatch)
{
    /// <summary>Scores rows of token ids. Each token is predicted once, the first from an end-of-text start.</summary>
    public TextScore[] Score(IReadOnlyList<IReadOnlyList<int>> rows)
    {
        double[] sums = new double[rows.Count];
        ScoringWindow[] windows = [.. Enumerable.Range(0, rows.Count)
            .SelectMany(row => ScoringWindow.Cover(row, rows[row].Count, model.Config.ContextLength))
            .OrderByDescending(window => window.Length)];

        using var noGradients = no_grad();
        for (int start = 0; start < windows.Length;)
        {
            int size = Math.Clamp(tokensPerBatch / windows[start].Length, 1, windows.Length - start);
            ScoreBatch(rows, windows.AsSpan(start, size), sums);
            start += size;
        }

        return [.. rows.Select((ids, row) => ids.Count == 0 ? TextScore.Missing : new TextScore(sums[row], ids.Count))];
    }

    private void ScoreBatch(IReadOnlyList<IReadOnlyList<int>> rows, ReadOnlySpan<ScoringWindow> windows, double[] sums)
    {
        int width = windows[0].Length;
        long[] inputs = new long[windows.Length * width];
        List<long> positions = [];
        List<long> targets = [];
        List<int> owners = [];
        for (int i = 0; i < windows.Length; i++)
        {
            ScoringWindow window = windows[i];
            IReadOnlyList<int> ids = rows[window.Row];
            for (int t = window.Start; t < window.End; t++)
            {
                int position = i * width + t - window.Start;
                inputs[position] = t == 0 ? endOfTextId : ids[t - 1];
                if (t < window.FirstScored)
                    continue;
                positions.Add(position);
                targets.Add(ids[t]);
                owners.Add(window.Row);
            }
        }

        using var scope = NewDisposeScope();
        Tensor hidden = model.Hidden(tensor(inputs, [windows.Length, width], device: model.Device), null).flatten(0, 1);
        double[] losses = TokenLosses.Of(model, hidden, [.. positions], [.. targets]);
        for (int i = 0; i < losses.Length; i++)
            sums[owners[i]] -= losses[i];
    }
}
