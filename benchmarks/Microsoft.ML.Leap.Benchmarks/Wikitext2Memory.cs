namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The losses in nats per token of a network with the counted n-grams of its training texts beside it.</summary>
/// <param name="Validation">Over all validation blocks: of one half with the exponents that the other half gives, and the other way round.</param>
/// <param name="Test">Over all test blocks, with the exponents of the validation blocks.</param>
internal sealed record Wikitext2Memory(double Validation, double? Test)
{
    private const long MaximumBytes = 64L << 20;

    /// <param name="model">The trained network.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="training">The ids of the training blocks.</param>
    /// <param name="validation">Those of the validation blocks.</param>
    /// <param name="test">Those of the test blocks, if there are any.</param>
    public static Wikitext2Memory Measure(LeapModel model, LeapTokenizer tokenizer, TokenStore training, TokenStore validation, TokenStore? test)
    {
        using var network = new LeapNetwork(model.Config, model.GetWeights());
        var learning = new MemoryLearning(ReadLines(training, tokenizer.EndOfTextId), tokenizer, MaximumBytes);
        int[][] blocks = Cut(validation, model.Config.ContextLength);
        int[][][] halves = [[.. blocks.Where((_, i) => i % 2 == 0)], [.. blocks.Where((_, i) => i % 2 == 1)]];
        double loss = 0;
        for (int half = 0; half < halves.Length; half++)
        {
            Learn(halves[1 - half]);
            loss += GetLoss(halves[half]) * halves[half].Length / blocks.Length;
        }

        Learn(blocks);
        return new Wikitext2Memory(loss, test is null ? null : GetLoss(Cut(test, model.Config.ContextLength)));

        void Learn(int[][] heldOut) => learning.LearnExponents(heldOut, block => BlockLosses.ComputeLogits(network, block), model.Config.ContextLength);

        double GetLoss(int[][] parts) =>
            parts.Average(ids => BlockLosses.Compute(network, [new EvaluationBlock(ids, 0, StartsStream: true)], learning.Memory)[0].Average());
    }

    private static int[][] Cut(TokenStore ids, int length)
    {
        int[] all = new int[ids.Count];
        ids.Read(0, all);
        return [.. all.Chunk(length)];
    }

    // The n-grams know a line's start, and none that goes over it.
    private static IEnumerable<int[]> ReadLines(TokenStore ids, int endOfTextId)
    {
        int[] all = new int[ids.Count];
        ids.Read(0, all);
        for (int start = 0; start < all.Length;)
        {
            int end = Array.IndexOf(all, endOfTextId, start);
            int next = end < 0 ? all.Length : end + 1;
            yield return all[start..next];
            start = next;
        }
    }
}
