using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The losses in nats per token of a network with the counted n-grams of its training texts beside it.</summary>
/// <param name="Validation">Over all validation blocks: of one half with the exponents that the other half gives, and the other way round.</param>
/// <param name="Test">Over all test blocks, with the exponents of the validation blocks.</param>
internal sealed record MemoryLosses(double Validation, double? Test)
{
    private const long MaximumBytes = 64L << 20;

    /// <param name="network">The trained network, in evaluation.</param>
    /// <param name="lineEndId">The id that each line ends with.</param>
    /// <param name="training">The ids of the training texts.</param>
    /// <param name="validation">The validation blocks.</param>
    /// <param name="test">The test blocks, if there are any.</param>
    public static MemoryLosses Measure(LanguageModelNetwork network, int lineEndId, int[] training, StreamBlocks validation, StreamBlocks? test = null)
    {
        var workers = new WorkSharing(threadCount: 0);
        var learning = new MemoryLearning(CutLines(training, lineEndId), network.Config.VocabularySize, lineEndId, MaximumBytes);
        int[][] blocks = Read(validation);
        int[][][] halves = [[.. blocks.Where((_, i) => i % 2 == 0)], [.. blocks.Where((_, i) => i % 2 == 1)]];
        double loss = 0;
        for (int half = 0; half < halves.Length; half++)
        {
            Learn(halves[1 - half]);
            loss += SumLosses(halves[half]);
        }

        loss /= validation.TargetCount;
        if (test is null)
            return new MemoryLosses(loss, null);
        Learn(blocks);
        return new MemoryLosses(loss, SumLosses(Read(test)) / test.TargetCount);

        void Learn(int[][] heldOut) => learning.LearnExponents(heldOut, block => ComputeLogits(network, block), network.Config.ContextLength);

        double SumLosses(int[][] part) => part.Sum(ids => SumLossesOfBlock(new EvaluationBlock(ids, 0, StartsStream: true)));

        double SumLossesOfBlock(EvaluationBlock block)
        {
            using IDisposable noGradients = no_grad();
            using DisposeScope scope = NewDisposeScope();
            long[] places = [.. Enumerable.Range(0, block.Length).Select(i => (long)i)];
            long[] targets = [.. block.Ids.Skip(1).Select(id => (long)id)];
            LogitMixing? mix = BlockLosses.Mix(learning.Memory, [block], workers);
            return TokenLosses.Compute(network, ComputeHidden(network, block), places, targets, mix).Sum();
        }
    }

    /// <summary>Gives the logits of each id of a block that counts, [V] each, by torch.</summary>
    public static float[][] ComputeLogits(LanguageModelNetwork network, EvaluationBlock block)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = ComputeHidden(network, block).narrow(0, block.FirstScored, block.Length - block.FirstScored);
        float[] logits = [.. MatrixProduct.Multiply(hidden, network.HeadWeight, null, usesBFloat16: false).Plus(network.HeadBias).cpu().data<float>()];
        return [.. logits.Chunk(network.Config.VocabularySize)];
    }

    // [N, d].
    private static Tensor ComputeHidden(LanguageModelNetwork network, EvaluationBlock block) =>
        network.Hidden(tensor([.. block.Ids.Take(block.Length).Select(id => (long)id)], [1, block.Length], device: network.Device)).flatten(0, 1);

    private static int[][] Read(StreamBlocks blocks) => [.. Enumerable.Range(0, blocks.Count).Select(i => blocks.Read(blocks[i]))];

    // The n-grams know a line's start, and none that goes over it.
    private static IEnumerable<int[]> CutLines(int[] ids, int lineEndId)
    {
        for (int start = 0; start < ids.Length;)
        {
            int end = Array.IndexOf(ids, lineEndId, start);
            int next = end < 0 ? ids.Length : end + 1;
            yield return ids[start..next];
            start = next;
        }
    }
}
