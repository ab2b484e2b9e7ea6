using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The cross-entropy of a network over token blocks.</summary>
internal static class LanguageModelLoss
{
    /// <summary>Mean negative log-likelihood of the targets [B, N] in nats a token, ignored ones left out; a scalar tensor that gradients
    /// flow through.</summary>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets)
    {
        using Tensor isReal = targets.ne(TokenBlocks.IgnoredTarget);
        using Tensor count = isReal.sum();
        return Mean(model, inputs, targets, count.item<long>());
    }

    /// <summary>Negative log-likelihoods of the targets, summed and divided by <paramref name="targetCount"/>.</summary>
    /// <inheritdoc cref="Mean(LanguageModelNetwork, Tensor, Tensor)"/>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets, long targetCount)
    {
        using Tensor hidden = model.Hidden(inputs, null);
        using Tensor rows = hidden.flatten(0, 1);
        using Tensor flat = targets.flatten();
        return LinearCrossEntropy.Mean(rows, model.HeadWeight, model.HeadBias, flat, targetCount);
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
            sum += Mean(model, inputs, targets, count).item<float>() * (double)count;
        }

        model.train(wasTraining);
        return sum / blocks.TargetCount;
    }
}
