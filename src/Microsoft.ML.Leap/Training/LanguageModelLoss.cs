using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The cross-entropy of a network over token blocks.</summary>
internal static class LanguageModelLoss
{
    /// <summary>Mean negative log-likelihood of the targets [B, N] in nats per token, ignored ones left out; a scalar tensor that gradients
    /// flow through.</summary>
    /// <param name="model">The network.</param>
    /// <param name="inputs">Token ids, int64 [B, N].</param>
    /// <param name="targets">The tokens that come next, int64 [B, N].</param>
    /// <param name="documents">Where documents begin that are packed into one sequence; null where each sequence is one.</param>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets, PackedDocuments? documents = null)
    {
        using Tensor isReal = LinearCrossEntropy.HasTarget(targets);
        using Tensor count = isReal.sum();
        return Mean(model, inputs, targets, count.item<long>(), documents);
    }

    /// <summary>Negative log-likelihoods of the targets, summed and divided by <paramref name="targetCount"/>.</summary>
    /// <inheritdoc cref="Mean(LanguageModelNetwork, Tensor, Tensor, PackedDocuments)"/>
    public static Tensor Mean(LanguageModelNetwork model, Tensor inputs, Tensor targets, long targetCount, PackedDocuments? documents = null)
    {
        using Tensor hidden = Hidden(model, inputs, documents);
        using Tensor rows = hidden.flatten(0, 1);
        using Tensor flat = targets.flatten();
        var form = new LinearCrossEntropyLayout(UsesBFloat16: model.training && model.TrainsInBFloat16);
        return LinearCrossEntropy.Mean(rows, model.HeadWeight, model.HeadBias, flat, targetCount, form);
    }

    /// <summary>Computes what the output layer sees of sequences, or of packed documents.</summary>
    public static Tensor Hidden(LanguageModelNetwork model, Tensor inputs, PackedDocuments? documents) =>
        documents is null ? model.Hidden(inputs) : model.HiddenOfPacked(inputs, documents);

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
        bool packs = blocks.MayPack && model.CanPack;
        foreach (TokenBlock[] batch in blocks.InBatches(batchSize))
        {
            throwIfCancelled();
            foreach (TokenBlock[] part in packs ? [batch] : blocks.Parts(batch))
            {
                using var scope = NewDisposeScope();
                sum += packs ? SumOfPacked(model, blocks, part) : SumOfPadded(model, blocks, part);
                NativeGarbage.Collect();
            }
        }

        return sum;
    }

    private static double SumOfPadded(LanguageModelNetwork model, TokenBlocks blocks, TokenBlock[] batch)
    {
        (Tensor inputs, Tensor targets, int count) = blocks.Batch(batch, model.Device);
        return Mean(model, inputs, targets, count).item<float>() * (double)count;
    }

    private static double SumOfPacked(LanguageModelNetwork model, TokenBlocks blocks, TokenBlock[] batch)
    {
        (Tensor inputs, Tensor targets, PackedDocuments documents) = blocks.Pack(batch);
        return Mean(model, inputs, targets, documents.Starts.Length, documents).item<float>() * (double)documents.Starts.Length;
    }
}
