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
    [DataRow(1)]
    [DataRow(1000)]
    public void Predict_OfBlocks_EqualsTheEngine(int tokensPerBatch)
    {
        (GpuScorer scorer, LeapNetwork engine) = Create(tokensPerBatch);
        using (scorer)
        using (engine)
        {
            TokenPrediction[][] expected = BlockPredictions.Compute(engine, Blocks);
            TokenPrediction[][] predictions = scorer.Predict(Blocks, null);
            for (int b = 0; b < Blocks.Length; b++)
            {
                Assert.HasCount(expected[b].Length, predictions[b]);
                foreach ((TokenPrediction a, TokenPrediction c) in expected[b].Zip(predictions[b]))
                {
                    Assert.AreEqual(a.Loss, c.Loss, 1e-5);
                    Assert.AreEqual(a.Confidence, c.Confidence, 1e-5);
                }
            }
        }
    }

    [TestMethod]
    public void Dispose_BesideCallsThatRun_LetsThemEnd()
    {
        (GpuScorer scorer, LeapNetwork engine) = Create(64);
        using (engine)
        {
            TokenPrediction[][] expected = scorer.Predict(Blocks, null);
            using var isRunning = new ManualResetEventSlim();
            Task calls = Task.Run(() =>
            {
                while (true)
                {
                    TokenPrediction[][] predictions = scorer.Predict(Blocks, null);
                    isRunning.Set();
                    CollectionAssert.AreEqual(expected[^1], predictions[^1]);
                }
            });
            isRunning.Wait();
            scorer.Dispose();

            // What ran has ended well; the next call is refused.
            Assert.ThrowsExactly<ObjectDisposedException>(() => calls.GetAwaiter().GetResult());
            Assert.ThrowsExactly<ObjectDisposedException>(() => scorer.Predict(Blocks, null));
        }
    }

    private static (GpuScorer Scorer, LeapNetwork Engine) Create(int tokensPerBatch)
    {
        NativeBackend.EnsureLoaded();
        var model = new LeapModel(Config, CPU, seed: 3);
        model.eval();
        return (new GpuScorer(model, tokensPerBatch, needsConfidence: true), new LeapNetwork(Config, model.GetWeights()));
    }
}
