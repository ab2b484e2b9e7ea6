using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Gives texts their log-likelihood under a network, in batches of windows of like length.</summary>
internal sealed class TextScorer(LeapModel model, int endOfTextId, int tokensPerBatch)
{
    // Rows whose logits exist at once: enough for a fast product, and few enough for a cache where the vocabulary is not large.
    private const int HeadRows = 256;

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
        for (int start = 0; start < positions.Count; start += HeadRows)
        {
            int count = Math.Min(HeadRows, positions.Count - start);
            double[] losses = Losses(hidden, [.. positions.GetRange(start, count)], [.. targets.GetRange(start, count)]);
            for (int i = 0; i < count; i++)
                sums[owners[start + i]] -= losses[i];
        }
    }

    private double[] Losses(Tensor hidden, long[] positions, long[] targets)
    {
        using var scope = NewDisposeScope();
        Tensor rows = hidden.index_select(0, tensor(positions, device: model.Device));
        Tensor logits = MatrixProduct.Of(rows, model.HeadWeight, null, usesBFloat16: false);
        return SoftmaxCrossEntropy.RowLosses(logits, model.HeadBias, tensor(targets, device: model.Device));
    }
}
