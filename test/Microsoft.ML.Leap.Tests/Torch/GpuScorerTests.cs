using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The scorer of GPUs, on the CPU.</summary>
[TestClass]
public class GpuScorerTests
{
    private static readonly LeapConfig Config = new(13, 8, 16, 2, 2, dropout: 0);

    private static readonly EvaluationBlock[] Blocks =
        [.. Enumerable.Range(1, 15).Select(length => new EvaluationBlock([.. Enumerable.Range(0, length + 1).Select(i => i * i % 13)], length / 3, StartsStream: true))];

    [TestMethod]
    [DataRow(1, false)]
    [DataRow(1000, false)]
    [DataRow(1, true)]
    [DataRow(1000, true)]
    public void ComputeLosses_OfBlocks_EqualTheEngines(int tokensPerBatch, bool hasMemory)
    {
        (GpuScorer scorer, LeapNetwork engine) = Create(tokensPerBatch);
        ModelMemory? memory = null;
        if (hasMemory)
        {
            var counts = new NGramModel(3, Config.VocabularySize);
            counts.Add([1, 4, 9, 3, 12, 10, 10, 12, 3, 9, 4, 1, 0]);
            memory = new ModelMemory(NGramMemory.Create(counts, maximumBytes: 1 << 20), MemoryExponents.Default, TextGate.Default, endOfTextId: 0);
        }

        using (scorer)
        using (engine)
        {
            double[][] expected = BlockLosses.Compute(engine, Blocks, memory);
            double[][] losses = scorer.ComputeLosses(Blocks, null, memory);
            for (int b = 0; b < Blocks.Length; b++)
            {
                Assert.HasCount(expected[b].Length, losses[b]);
                foreach ((double a, double c) in expected[b].Zip(losses[b]))
                    Assert.AreEqual(a, c, 1e-5);
            }
        }
    }

    [TestMethod]
    public void Dispose_BesideCallsThatRun_LetsThemEnd()
    {
        (GpuScorer scorer, LeapNetwork engine) = Create(64);
        using (engine)
        {
            double[][] expected = scorer.ComputeLosses(Blocks, null, null);
            using var isRunning = new ManualResetEventSlim();
            Task calls = Task.Run(() =>
            {
                while (true)
                {
                    double[][] losses = scorer.ComputeLosses(Blocks, null, null);
                    isRunning.Set();
                    CollectionAssert.AreEqual(expected[^1], losses[^1]);
                }
            });
            isRunning.Wait();
            scorer.Dispose();

            // What ran has ended well; the next call is refused.
            Assert.ThrowsExactly<ObjectDisposedException>(() => calls.GetAwaiter().GetResult());
            Assert.ThrowsExactly<ObjectDisposedException>(() => scorer.ComputeLosses(Blocks, null, null));
        }
    }

    private static (GpuScorer Scorer, LeapNetwork Engine) Create(int tokensPerBatch)
    {
        NativeBackend.EnsureLoaded();
        var model = new LeapModel(Config, CPU, seed: 3);
        model.eval();
        return (new GpuScorer(model, tokensPerBatch), new LeapNetwork(Config, model.GetWeights()));
    }
}
