using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class RecurrentNetworkTests
{
    private const int Length = 64;

    private static readonly LeapConfig Config = new(70, 24, Length, 4, 2, windowSizes: [1, 3, 20, Length], initializerRange: 0.4);

    [TestMethod]
    [DataRow(24, 2)]
    [DataRow(10, 2)]
    [DataRow(64, 2)]
    [DataRow(128, 2)]
    [DataRow(33, 3)]
    public void Read_AnySplit_GivesTheLogitsOfOnePass(int hiddenSize, int headCount)
    {
        var config = new LeapConfig(71, hiddenSize, Length, 3, headCount, windowSizes: [1, 7, Length], initializerRange: 1.2 / Math.Sqrt(hiddenSize));
        using LeapModel model = Network(config);
        using var network = new RecurrentNetwork(model);
        int[] ids = Ids(1, Length);
        float[][] expected = OnePass(model, ids);
        for (int split = 1; split < Length; split += 9)
        {
            using RecurrentState state = network.CreateState();
            float[] hidden = new float[hiddenSize];
            network.Read(ids.AsSpan(0, split), state, hidden);
            AssertClose(expected[split - 1], Logits(network, hidden));
            for (int i = split; i < Length; i++)
            {
                network.Read([ids[i]], state, hidden);
                AssertClose(expected[i], Logits(network, hidden));
            }
        }
    }

    [TestMethod]
    public void Step_ManyTexts_GivesEachWhatItGetsAloneBitForBit()
    {
        using LeapModel model = Network(Config);
        using var network = new RecurrentNetwork(model);
        const int Count = 7;
        RecurrentState[] together = [.. Enumerable.Range(0, Count).Select(_ => network.CreateState())];
        float[][] hidden = [.. together.Select(_ => new float[Config.HiddenSize])];
        for (int i = 0; i < Count; i++)
            network.Read(Ids(i, 1 + 5 * i), together[i], hidden[i]);
        RecurrentState[] alone = [.. together.Select(state => state.Clone())];

        for (int step = 0; step < 5; step++)
        {
            int[] next = Ids(50 + step, Count);
            network.Step(next, together, hidden);
            float[][] logits = [.. hidden.Select(_ => new float[Config.VocabularySize])];
            network.Logits(hidden, logits);
            for (int i = 0; i < Count; i++)
            {
                float[] own = new float[Config.HiddenSize];
                network.Read([next[i]], alone[i], own);
                CollectionAssert.AreEqual(own, hidden[i]);
                CollectionAssert.AreEqual(Logits(network, own), logits[i]);
            }
        }

        foreach (RecurrentState state in together.Concat(alone))
            state.Dispose();
    }

    [TestMethod]
    public void Read_FromManyThreads_GivesEachItsOwn()
    {
        using LeapModel model = Network(Config);
        using var network = new RecurrentNetwork(model);
        float[][] expected = [.. Enumerable.Range(0, 8).Select(Run)];
        float[][] got = new float[8][];
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => got[i] = Run(i));
        for (int i = 0; i < 8; i++)
            CollectionAssert.AreEqual(expected[i], got[i]);

        float[] Run(int seed)
        {
            using RecurrentState state = network.CreateState();
            float[] hidden = new float[Config.HiddenSize];
            foreach (int id in Ids(seed, Length))
                network.Read([id], state, hidden);
            return Logits(network, hidden);
        }
    }

    [TestMethod]
    public void ReadAndLogits_LeaveTorchAsItWas()
    {
        using LeapModel model = Network(Config);
        using var warm = new RecurrentNetwork(model);
        using var torch = new TorchState();
        using var network = new RecurrentNetwork(model);
        using RecurrentState state = network.CreateState();
        float[] hidden = new float[Config.HiddenSize];
        network.Read(Ids(1, 30), state, hidden);
        network.Read(Ids(1, 3), state, hidden);
        Logits(network, hidden);
    }

    [TestMethod]
    public void Read_AfterDispose_Throws()
    {
        using LeapModel model = Network(Config);
        var network = new RecurrentNetwork(model);
        using RecurrentState state = network.CreateState();
        network.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => network.Read([1], state, new float[Config.HiddenSize]));
    }

    private static LeapModel Network(LeapConfig config)
    {
        var model = new LeapModel(config, CPU, 3);
        model.eval();

        // Norms and biases that are not what they are at the start.
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, var weight) in model.Weights)
        {
            if (weight.dim() == 1)
                weight.add_(linspace(-0.5, 0.5, weight.shape[0]));
        }

        return model;
    }

    private static float[][] OnePass(LeapModel model, int[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        float[] logits = model.forward(tensor([.. ids.Select(id => (long)id)], [1, ids.Length]), null).data<float>().ToArray();
        return [.. logits.Chunk(model.Config.VocabularySize)];
    }

    private static float[] Logits(RecurrentNetwork network, float[] hidden)
    {
        float[] logits = new float[network.Config.VocabularySize];
        network.Logits([hidden], [logits]);
        return logits;
    }

    private static int[] Ids(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(70))];
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5 * Math.Max(1, Math.Abs(expected[i])), $"value {i}");
    }
}
