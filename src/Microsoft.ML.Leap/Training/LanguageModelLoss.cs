using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The cross-entropy of a network over token blocks.</summary>
internal static class LanguageModelLoss
{
    /// <summary>Mean negative log-likelihood of the targets [B, N] in nats a token, ignored ones left out; a scalar tensor that gradients
    /// flow through.</summary>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets)
    {
        using Tensor isReal = LinearCrossEntropy.HasTarget(targets);
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
        var form = new LinearCrossEntropyForm(UsesBFloat16: model.training && model.TrainsInBFloat16);
        return LinearCrossEntropy.Mean(rows, model.HeadWeight, model.HeadBias, flat, targetCount, form);
    }

    /// <summary>Mean over every target of every block, each counted once, in single precision and without dropout or gradients.</summary>
    /// <param name="model">The network.</param>
    /// <param name="blocks">The blocks.</param>
    /// <param name="batchSize">Blocks of full length at a time.</param>
    /// <param name="throwIfCancelled">Called before each batch.</param>
    public static double Evaluate(LanguageModelNetwork model, TokenBlocks blocks, int batchSize, Action throwIfCancelled)
    {
        bool wasTraining = model.training;
        model.eval();
        try
        {
            return Sum(model, blocks, batchSize, throwIfCancelled) / blocks.TargetCount;
        }
        finally
        {
            model.train(wasTraining);
        }
    }

    private static double Sum(LanguageModelNetwork model, TokenBlocks blocks, int batchSize, Action throwIfCancelled)
    {
        using var noGradients = no_grad();
        double sum = 0;
        foreach (TokenBlock[] batch in blocks.InBatches(batchSize))
        {
            throwIfCancelled();
            using var scope = NewDisposeScope();
            (Tensor inputs, Tensor targets, int count) = blocks.Batch(batch, model.Device);
            sum += Mean(model, inputs, targets, count).item<float>() * (double)count;
            NativeGarbage.Collect();
        }

        return sum;
    }
}
