using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The cross-entropy of a network over token blocks.</summary>
internal static class LanguageModelLoss
{
    /// <summary>Mean negative log-likelihood of the targets [B, N] in nats a token, ignored ones left out; a scalar tensor that gradients
    /// flow through.</summary>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets)
    {
        using Tensor logits = model.forward(inputs, null);
        using Tensor rows = logits.flatten(0, 1);
        using Tensor flat = targets.flatten();
        return nn.functional.cross_entropy(rows, flat, ignore_index: TokenBlocks.IgnoredTarget);
    }

    /// <summary>Mean over every target of every block, each counted once, without dropout or gradients.</summary>
    public static double Evaluate(LanguageModelNetwork model, TokenBlocks blocks, int batchSize, CancellationToken cancellationToken)
    {
        bool wasTraining = model.training;
        model.eval();
        using var noGradients = no_grad();
        double sum = 0;
        for (int start = 0; start < blocks.Count; start += batchSize)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            int[] batch = [.. Enumerable.Range(start, Math.Min(batchSize, blocks.Count - start))];
            (Tensor inputs, Tensor targets, int count) = blocks.Batch(batch, model.Device);
            sum += Mean(model, inputs, targets).item<float>() * (double)count;
        }

        model.train(wasTraining);
        return sum / blocks.TargetCount;
    }
}
