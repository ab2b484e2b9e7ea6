using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GradientThreadsTests
{
    private const int ContextLength = 160;
    private static readonly LeapConfig Config = new(
        13, 8, ContextLength, 2, 2, dropout: 0, usePositionEmbeddings: false, convolutionSize: 4, useForgetGates: true, focusSize: 3);

    [TestMethod]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void Step_OnSeveralThreads_IsThatOfOne(int threads)
    {
        float[] expected = TakeSteps(1, out StepResult[] one);
        float[] actual = TakeSteps(threads, out StepResult[] several);

        foreach (var (a, b) in one.Zip(several))
        {
            Assert.AreEqual(a.Tokens, b.Tokens);
            Assert.AreEqual(a.Loss, b.Loss, 1e-5);
            Assert.AreEqual(a.GradientNorm, b.GradientNorm, 1e-5);
        }

        Assert.IsLessThan(1e-4f, expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max());
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void Run_OfTwoShares_ComputesThemOnThreadsOfTheirOwn_AndLeavesTorchItsThreads()
    {
        using var count = new ThreadCount(2);
        using var model = new LeapModel(Config, CPU, 1);
        using var threads = new GradientThreads(model);
        var seen = new (int Thread, int Torch, int OfNewThread, LanguageModelNetwork Network)[2];
        threads.Run(2, (network, share) => seen[share] = (Environment.CurrentManagedThreadId, get_num_threads(), OfNewThread(), network));

        Assert.AreNotEqual(seen[0].Thread, seen[1].Thread);
        Assert.AreNotSame(seen[0].Network, seen[1].Network);
        Assert.AreEqual((1, 1), (seen[0].Torch, seen[1].Torch));
        Assert.AreEqual((2, 2), (seen[0].OfNewThread, seen[1].OfNewThread));
        Assert.AreEqual(2, get_num_threads());

        static int OfNewThread()
        {
            int count = 0;
            var thread = new Thread(() => count = get_num_threads());
            thread.Start();
            thread.Join();
            return count;
        }
    }

    [TestMethod]
    public void Run_WhereAShareFails_ThrowsItsException_AndCanGoOn()
    {
        using var count = new ThreadCount(2);
        using var model = new LeapModel(Config, CPU, 1);
        using var threads = new GradientThreads(model);
        Assert.ThrowsExactly<FormatException>(() => threads.Run(2, (_, share) =>
        {
            if (share == 1)
                throw new FormatException();
        }));

        Assert.AreEqual(2, get_num_threads());
        int calls = 0;
        threads.Run(2, (_, _) => Interlocked.Increment(ref calls));
        Assert.AreEqual(2, calls);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [DataRow(100, 1)]
    [DataRow(256, 2)]
    [DataRow(1024, 3)]
    [DataRow(2049, 1)]
    public void CountShares_OfASmallNetwork_IsAtMostTheThreads_AndGivesEachEnoughButNotTooMuch(long tokens, int expected)
    {
        using var count = new ThreadCount(3);
        using var model = new LeapModel(Config, CPU, 1);
        using var threads = new GradientThreads(model);
        Assert.AreEqual(expected, threads.CountShares(tokens));
    }

    [TestMethod]
    public void CreateTwin_WhereTheWeightsChange_ChangesToo_AndHasGradientsOfItsOwn()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = new LeapModel(Config, CPU, 1);
        using LanguageModelNetwork twin = model.CreateTwin();
        using (no_grad())
            model.HeadBias.fill_(0.25f.ToScalar());
        Tensor ids = arange(5, ScalarType.Int64).unsqueeze(0);

        CollectionAssert.AreEqual(model.forward(ids).data<float>().ToArray(), twin.forward(ids).data<float>().ToArray());
        twin.forward(ids).sum().backward();
        Assert.IsNotNull(twin.HeadBias.grad);
        Assert.IsNull(model.HeadBias.grad);
    }

    private static float[] TakeSteps(int threads, out StepResult[] results)
    {
        using var count = new ThreadCount(threads);
        var random = new Random(3);
        int[] ids = [.. Enumerable.Range(0, 4000).Select(_ => random.Next(Config.VocabularySize))];
        var blocks = new StreamBlocks(ids, ContextLength);
        using var model = new LeapModel(Config, CPU, 1);
        model.train();
        using var step = new TrainingStep(model, blocks, TrainingSamples.Options(epochs: 1, batchSize: 5));
        TokenBlock[][] batches = [.. blocks.InBatches(5)];

        // The last has blocks of unequal length, and two batches go into each step.
        results = [.. batches.Reverse().Chunk(2).Select(pair => step.Run(pair, 1e-2, seed: 1))];
        return TrainingSamples.GetWeights(model);
    }
}
