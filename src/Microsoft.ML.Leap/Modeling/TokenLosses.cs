using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The loss of each token under a network, from what its output layer sees.</summary>
internal static class TokenLosses
{
    // Rows whose logits exist at once: enough for a fast product, and few enough for a cache where the vocabulary is not large.
    private const int HeadRows = 256;

    /// <summary>Returns -ln p of each target, in nats.</summary>
    /// <param name="model">The network.</param>
    /// <param name="hidden">What its output layer sees, [R, d].</param>
    /// <param name="places">The row of each target.</param>
    /// <param name="targets">The token ids, as many as <paramref name="places"/>.</param>
    public static double[] Of(LanguageModelNetwork model, Tensor hidden, long[] places, long[] targets)
    {
        double[] losses = new double[targets.Length];
        for (int start = 0; start < targets.Length; start += HeadRows)
        {
            int end = Math.Min(start + HeadRows, targets.Length);
            using DisposeScope scope = NewDisposeScope();
            Tensor rows = hidden.index_select(0, tensor(places[start..end], device: model.Device));
            Tensor logits = MatrixProduct.Of(rows, model.HeadWeight, null, usesBFloat16: false);
            SoftmaxCrossEntropy.RowLosses(logits, model.HeadBias, tensor(targets[start..end], device: model.Device)).CopyTo(losses, start);
        }

        return losses;
    }
}
