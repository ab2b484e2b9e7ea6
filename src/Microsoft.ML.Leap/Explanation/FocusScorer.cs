using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Gives the tokens of rows their focus over all layers and heads, in batches of windows of like length.</summary>
internal sealed class FocusScorer(LeapModel model, int endOfTextId, int tokensPerBatch)
{
    // The place in a window of the token before it, or of the end-of-text start, is not the row's.
    private readonly int _windowLength = model.Config.ContextLength - 1;

    /// <summary>Scores rows of token ids: one value a token.</summary>
    /// <remarks>Rows are read in the windows of <see cref="ScoringWindow"/>, one token shorter, because here the last token is read too. A
    /// token's focus is from the window in which it would be scored; positions outside that window do not count.</remarks>
    public float[][] Score(IReadOnlyList<IReadOnlyList<int>> rows)
    {
        float[][] focus = [.. rows.Select(ids => new float[ids.Count])];
        ScoringWindow[] windows = [.. Enumerable.Range(0, rows.Count)
            .SelectMany(row => ScoringWindow.Cover(row, rows[row].Count, _windowLength))
            .OrderByDescending(window => window.Length)];

        using var noGradients = no_grad();
        for (int start = 0; start < windows.Length;)
        {
            int size = Math.Clamp(tokensPerBatch / (windows[start].Length + 1), 1, windows.Length - start);
            ScoreBatch(rows, windows.AsSpan(start, size), focus);
            start += size;
        }

        return focus;
    }

    private void ScoreBatch(IReadOnlyList<IReadOnlyList<int>> rows, ReadOnlySpan<ScoringWindow> windows, float[][] focus)
    {
        int width = windows[0].Length + 1;
        long[] inputs = new long[windows.Length * width];
        double[] looking = new double[inputs.Length];
        for (int i = 0; i < windows.Length; i++)
        {
            IReadOnlyList<int> ids = rows[windows[i].Row];
            for (int p = 0; p <= windows[i].Length; p++)
            {
                int t = windows[i].Start + p - 1;
                inputs[i * width + p] = t < 0 ? endOfTextId : ids[t];
                looking[i * width + p] = 1;
            }
        }

        float[] values = Focus(inputs, looking, windows.Length, width);
        for (int i = 0; i < windows.Length; i++)
        {
            for (int t = windows[i].FirstScored; t < windows[i].End; t++)
                focus[windows[i].Row][t] = values[i * width + t - windows[i].Start + 1];
        }
    }

    private float[] Focus(long[] inputs, double[] looking, int count, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        using var capture = new FocusCapture();
        model.Hidden(tensor(inputs, [count, width], device: model.Device), null, capture);
        Tensor positions = tensor(looking, [count, width, 1], device: model.Device);
        Tensor sum = zeros([count, width], ScalarType.Float64, model.Device);
        foreach (LayerFocus layer in capture.Layers)
            sum.add_(FocusAggregate.Of(layer, positions).mean([-1]));
        return sum.div_(capture.Layers.Count).to(ScalarType.Float32).cpu().data<float>().ToArray();
    }
}
