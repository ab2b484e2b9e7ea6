using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The loss of chosen tokens, from what the output layer sees.</summary>
internal static class TargetLosses
{
    // Rows whose logits exist at once: enough for a fast product, and few enough for a cache where the vocabulary is not large.
    private const int HeadRows = 256;

    /// <summary>Gives -ln p(target) of each target in nats, in single precision. Call it without gradients.</summary>
    /// <param name="model">The network.</param>
    /// <param name="hidden">What its output layer sees, [R, d].</param>
    /// <param name="positions">The row of <paramref name="hidden"/> that predicts each target.</param>
    /// <param name="targets">The ids.</param>
    public static double[] Of(LeapModel model, Tensor hidden, List<long> positions, List<long> targets)
    {
        double[] losses = new double[positions.Count];
        for (int start = 0; start < losses.Length; start += HeadRows)
        {
            int count = Math.Min(HeadRows, losses.Length - start);
            OfRows(model, hidden, [.. positions.GetRange(start, count)], [.. targets.GetRange(start, count)]).CopyTo(losses, start);
        }

        return losses;
    }

    private static double[] OfRows(LeapModel model, Tensor hidden, long[] positions, long[] targets)
    {
        using var scope = NewDisposeScope();
        Tensor rows = hidden.index_select(0, tensor(positions, device: model.Device));
        Tensor logits = MatrixProduct.Of(rows, model.HeadWeight, null, usesBFloat16: false);
        return SoftmaxCrossEntropy.RowLosses(logits, model.HeadBias, tensor(targets, device: model.Device));
    }
}
