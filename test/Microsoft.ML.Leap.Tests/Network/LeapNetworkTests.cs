using static Microsoft.ML.Leap.Tests.NetworkFixtures;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class LeapNetworkTests
{
    private const int Length = 64;

    private static readonly LeapConfig Config = new(70, 24, Length, 4, 2, windowSizes: [1, 3, 20, Length], convolutionSize: 4);

    [TestMethod]
    [DataRow("tiny_global")]
    [DataRow("tiny_masked")]
    [DataRow("tiny_odd_windows")]
    [DataRow("tiny_windowed")]
    public void Forward_OriginalsWeights_GivesItsLogits(string name)
    {
        (LeapConfig config, Dictionary<string, float[]> weights, int[][] ids, float[][] logits) = Load(name);
        using var network = new LeapNetwork(config, weights);
        float[][] hidden = Hidden(network, ids);
        for (int i = 0; i < ids.Length; i++)
            AssertClose(logits[i], Logits(network, hidden[i]), 1e-5);
    }

    [TestMethod]
    [DataRow(4, 2, 4)]
    [DataRow(9, 3, 1)]
    [DataRow(10, 2, 0)]
    [DataRow(10, 2, 3)]
    [DataRow(32, 1, 16)]
    [DataRow(80, 2, 4)]
    [DataRow(128, 2, 2)]
    [DataRow(128, 4, 0)]
    [DataRow(128, 4, 4)]
    [DataRow(9, 3, 4, true)]
    [DataRow(32, 1, 4, true)]
    [DataRow(128, 2, 0, true)]
    [DataRow(128, 4, 4, true)]
    [DataRow(9, 3, 4, true, 2)]
    [DataRow(128, 4, 4, true, 8)]
    [DataRow(128, 4, 0, false, 8)]
    [DataRow(96, 2, 4, true, 8)]
    [DataRow(64, 1, 4, true, 20)]
    public void Forward_AnyHeadSizeAndConvolution_EqualsDoublePrecision(
        int hiddenSize, int headCount, int convolutionSize, bool useForgetGates = false, int? focusSize = null)
    {
        var config = new LeapConfig(
            71, hiddenSize, 50, 3, headCount, windowSizes: useForgetGates ? null : [1, 7, 50], rescaleValue: 5, convolutionSize: convolutionSize,
            useForgetGates: useForgetGates, focusSize: focusSize);
        Dictionary<string, float[]> weights = RandomWeights(config);
        using var network = new LeapNetwork(config, weights);
        var reference = new ReferenceNetwork(config, weights);
        int[] ids = RandomIds(1, 130, 71);

        double[][] expected = reference.Hidden(ids);
        float[] hidden = Hidden(network, [ids])[0];

        AssertClose([.. expected.SelectMany(row => row).Select(value => (float)value)], hidden, 3e-5);
        AssertClose([.. expected.SelectMany(reference.Logits).Select(value => (float)value)], Logits(network, hidden), 3e-5);
    }

    [TestMethod]
    [DataRow(true, 0)]
    [DataRow(false, 4)]
    public void Forward_Observed_TellsFocusGatesAndOutputs(bool usePositions, int convolutionSize)
    {
        var config = new LeapConfig(
            70, 24, 40, 3, 2, windowSizes: [2, 9, 40], usePositionEmbeddings: usePositions, convolutionSize: convolutionSize);
        Dictionary<string, float[]> weights = RandomWeights(config);
        using var network = new LeapNetwork(config, weights, WeightFormat.Float32, 0, chunkLength: 16);
        int[][] sequences = [RandomIds(1, 60, 70), RandomIds(2, 5, 70)];
        float[][] focus = [new float[3 * 60 * 2], new float[3 * 5 * 2]];
        float[][] gates = [new float[3 * 60 * 2], new float[3 * 5 * 2]];
        float[][] outputs = [new float[3 * 60 * 24], new float[3 * 5 * 24]];
        ReadOnlyMemory<int>[] ids = [.. sequences.Select(sequence => new ReadOnlyMemory<int>(sequence))];

        network.Forward(ids, null, (_, _, _, _) => { }, (int layer, int sequence, int first, int count, in LayerValues values) =>
        {
            int row = layer * sequences[sequence].Length + first;
            new ReadOnlySpan<float>(values.Focus, count * 2).CopyTo(focus[sequence].AsSpan(row * 2));
            new ReadOnlySpan<float>(values.Gates, count * 2).CopyTo(gates[sequence].AsSpan(row * 2));
            new ReadOnlySpan<float>(values.Output, count * 24).CopyTo(outputs[sequence].AsSpan(row * 24));
        });

        for (int i = 0; i < 2; i++)
        {
            List<float> f = [], a = [], x = [];
            new ReferenceNetwork(config, weights).Hidden(sequences[i], (_, layerFocus, layerGates, layerOutputs) =>
            {
                f.AddRange(layerFocus.SelectMany(row => row).Select(value => (float)value));
                a.AddRange(layerGates.SelectMany(row => row).Select(value => (float)value));
                x.AddRange(layerOutputs.SelectMany(row => row).Select(value => (float)value));
            });
            AssertClose(f, focus[i], 3e-5);
            AssertClose(a, gates[i], 3e-5);
            AssertClose(x, outputs[i], 3e-5);
        }
    }

    [TestMethod]
    [DataRow(24, 2, 0)]
    [DataRow(24, 2, 1)]
    [DataRow(10, 2, 4)]
    [DataRow(128, 2, 3)]
    [DataRow(33, 3, 16)]
    [DataRow(33, 3, 4, true)]
    [DataRow(128, 4, 4, true)]
    [DataRow(128, 4, 4, true, 8)]
    [DataRow(33, 3, 4, true, 3)]
    public void ReadAndStep_AnySplit_GiveWhatOnePassGivesBitForBit(
        int hiddenSize, int headCount, int convolutionSize, bool useForgetGates = false, int? focusSize = null)
    {
        var config = new LeapConfig(
            71, hiddenSize, Length, 3, headCount, windowSizes: useForgetGates ? null : [1, 7, Length], convolutionSize: convolutionSize,
            useForgetGates: useForgetGates, focusSize: focusSize);
        using var network = new LeapNetwork(config, RandomWeights(config));
        int[] ids = RandomIds(1, Length + 20, 71);
        float[] expected = Hidden(network, [ids])[0];
        for (int split = 1; split < ids.Length; split += 9)
        {
            using NetworkState state = network.CreateState();
            float[] hidden = new float[hiddenSize];
            network.Read(ids.AsSpan(0, split), state, hidden);
            CollectionAssert.AreEqual(Token(expected, split - 1), hidden);
            for (int i = split; i < ids.Length; i++)
            {
                network.Step([ids[i]], [state], [hidden]);
                CollectionAssert.AreEqual(Token(expected, i), hidden);
            }

            Assert.AreEqual(ids.Length, state.Position);
        }

        float[] Token(float[] values, int token) => values[(token * hiddenSize)..((token + 1) * hiddenSize)];
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32, 0)]
    [DataRow(WeightFormat.Float32, 4)]
    [DataRow(WeightFormat.BFloat16, 3)]
    [DataRow(WeightFormat.Int8, 16)]
    [DataRow(WeightFormat.Float32, 4, true)]
    [DataRow(WeightFormat.BFloat16, 4, true, 8)]
    public void Forward_RaggedBatchChunksAndThreads_GiveEachWhatItGetsAloneBitForBit(
        WeightFormat format, int convolutionSize, bool useForgetGates = false, int? focusSize = null)
    {
        var config = new LeapConfig(
            300, 64, 100, 3, 2, windowSizes: useForgetGates ? null : [3, 40, 100], convolutionSize: convolutionSize, useForgetGates: useForgetGates,
            focusSize: focusSize);
        Dictionary<string, float[]> weights = RandomWeights(config);
        int[][] sequences = [.. new[] { 1, 2, 40, 7, 230, 64, 65, 3, 100, 1, 33 }.Select((length, i) => RandomIds(i, length, 300))];
        using var alone = new LeapNetwork(config, weights, format, threadCount: 1);
        float[][] expected = [.. sequences.Select(sequence => Hidden(alone, [sequence])[0])];
        foreach (int threads in new[] { 1, 2, 3 })
        {
            foreach (int chunk in new[] { 1, 16, 70, 2048 })
            {
                using var network = new LeapNetwork(config, weights, format, threads, chunk);
                float[][] hidden = Hidden(network, sequences);
                NetworkState[] states = [.. sequences.Select(_ => network.CreateState())];
                float[][] first = Hidden(network, sequences.Select(sequence => sequence[..((sequence.Length + 1) / 2)]), states);
                for (int i = 0; i < sequences.Length; i++)
                {
                    CollectionAssert.AreEqual(expected[i], hidden[i], $"{threads} threads, chunks of {chunk}, sequence {i}");
                    CollectionAssert.AreEqual(expected[i][..first[i].Length], first[i]);
                    CollectionAssert.AreEqual(Logits(alone, expected[i]), Logits(network, hidden[i]));
                    states[i].Dispose();
                }
            }
        }
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32, 1e-9)]
    [DataRow(WeightFormat.BFloat16, 0.1)]
    [DataRow(WeightFormat.Int8, 0.1)]
    public void Predict_AnyRows_AreLogSumExpLessTarget(WeightFormat format, double tolerance)
    {
        var config = new LeapConfig(1100, 24, Length, 2, 2);
        Dictionary<string, float[]> weights = RandomWeights(config);

        // Far apart, so that sums without the maximum would be infinite.
        weights["proj_logits.bias"][1070] = 150;
        weights["proj_logits.bias"][3] = -200;
        using var network = new LeapNetwork(config, weights, format, threadCount: 2);
        float[] hidden = Hidden(network, [RandomIds(1, 183, 1100)])[0];
        int[] targets = RandomIds(2, 183, 1100);
        targets[5] = 1070;
        targets[6] = 3;
        targets[7] = 1099;
        targets[8] = 0;
        double[] losses = new double[183];
        double[] one = new double[1];

        fixed (float* rows = hidden)
        {
            network.Predict(rows, 183, targets, losses);
            for (int i = 0; i < 183; i++)
            {
                network.Predict(rows + i * 24, 1, targets.AsSpan(i, 1), one);
                Assert.AreEqual(one[0], losses[i]);
            }
        }

        float[][] logits = [.. Logits(network, hidden).Chunk(1100)];
        float[][] exact = [.. Logits(new LeapNetwork(config, weights), hidden).Chunk(1100)];
        for (int i = 0; i < 183; i++)
        {
            double loss = losses[i];
            Assert.AreEqual(Loss(logits[i], targets[i]), loss, 2e-6 * Math.Max(1, loss));
            Assert.AreEqual(Loss(exact[i], targets[i]), loss, Math.Max(tolerance, 2e-6 * loss) + 0.01 * tolerance * loss);
        }

        static double Loss(float[] logits, int target)
        {
            double max = logits.Max();
            return Math.Log(logits.Sum(logit => Math.Exp(logit - max))) + max - logits[target];
        }
    }

    [TestMethod]
    public void Predict_OfSequences_AreThoseOfTheirHiddenVectors()
    {
        Dictionary<string, float[]> weights = RandomWeights(Config);
        using var network = new LeapNetwork(Config, weights, WeightFormat.Float32, 2, chunkLength: 32);
        int[][] sequences = [.. new[] { 1, 20, 90, 2, 31 }.Select((length, i) => RandomIds(i, length, 70))];
        int[][] targets = [.. sequences.Select(sequence => sequence.Skip(1).Append(-1).ToArray())];
        targets[2][40] = -1;
        double[][] losses = [.. sequences.Select(sequence => new double[sequence.Length])];

        network.Predict(
            [.. sequences.Select(sequence => new ReadOnlyMemory<int>(sequence))],
            [.. targets.Select(sequence => new ReadOnlyMemory<int>(sequence))],
            null,
            (sequence, first, values) => values.CopyTo(losses[sequence].AsSpan(first)));

        float[][] hidden = Hidden(network, sequences);
        for (int i = 0; i < sequences.Length; i++)
        {
            double[] expected = new double[sequences[i].Length];
            fixed (float* rows = hidden[i])
                network.Predict(rows, expected.Length, [.. targets[i].Select(target => Math.Max(0, target))], expected);
            for (int token = 0; token < expected.Length; token++)
                Assert.AreEqual(targets[i][token] < 0 ? 0 : expected[token], losses[i][token]);
        }
    }

    [TestMethod]
    public void Predict_WithSomethingMixedIn_IsThatOfTheMixedLogits()
    {
        const int Vocabulary = 1100;
        var config = new LeapConfig(Vocabulary, 24, 64, 1, 2, dropout: 0);
        using var network = new LeapNetwork(config, RandomWeights(config), WeightFormat.Float32, threadCount: 2);
        float[] hidden = Hidden(network, [RandomIds(1, 183, Vocabulary)])[0];
        int[] targets = RandomIds(2, 183, Vocabulary);
        double[] losses = new double[183];
        int mixed = 0;
        fixed (float* rows = hidden)
        {
            network.Predict(rows, 183, targets, losses, (count, size, factors, added) =>
            {
                for (int i = 0; i < count; i++)
                    factors[i] = Mix(mixed++, added.AsSpan(i * size, size));
            });
        }

        float[][] logits = [.. Logits(network, hidden).Chunk(Vocabulary)];
        float[] added = new float[Vocabulary];
        for (int i = 0; i < 183; i++)
        {
            float factor = Mix(i, added);
            double sum = logits[i].Zip(added, (logit, add) => Math.Exp(factor * (double)logit + add)).Sum();
            Assert.AreEqual(Math.Log(sum) - factor * (double)logits[i][targets[i]] - added[targets[i]], losses[i], 1e-5);
        }

        static float Mix(int row, Span<float> added)
        {
            for (int id = 0; id < added.Length; id++)
                added[id] = MathF.Sin(row + 3 * id);
            return 0.5f + row / 100f;
        }
    }

    [TestMethod]
    public void GetWeights_Float32_AreThoseThatCameIn()
    {
        Dictionary<string, float[]> weights = RandomWeights(Config);
        using var network = new LeapNetwork(Config, weights);
        Dictionary<string, float[]> unpacked = network.GetWeights();
        CollectionAssert.AreEquivalent(weights.Keys, unpacked.Keys);
        foreach ((string name, float[] values) in weights)
            CollectionAssert.AreEqual(values, unpacked[name], name);
    }

    [TestMethod]
    public void SizeInBytes_SmallerFormats_AreAHalfAndAQuarter()
    {
        var config = new LeapConfig(2048, 128, 512);
        Dictionary<string, float[]> weights = RandomWeights(config);
        long[] sizes = [.. Enum.GetValues<WeightFormat>().Select(format =>
        {
            using var network = new LeapNetwork(config, weights, format);
            return network.SizeInBytes;
        })];
        Assert.AreEqual(config.ParameterCount * sizeof(float), sizes[0]);
        Assert.AreEqual(0.5, (double)sizes[1] / sizes[0], 0.01);
        Assert.AreEqual(0.25, (double)sizes[2] / sizes[0], 0.02);
    }

    [TestMethod]
    public void Constructor_WeightsOfAnotherShape_AreRefused()
    {
        Dictionary<string, float[]> weights = RandomWeights(Config);
        Dictionary<string, float[]> missing = new(weights);
        missing.Remove("leap_model.decoders.1.boom.weight");
        Dictionary<string, float[]> more = new(weights) { ["another"] = [] };
        Dictionary<string, float[]> wrong = new(weights) { ["last_norm.bias"] = new float[23] };
        foreach (Dictionary<string, float[]> refused in new[] { missing, more, wrong })
            Assert.ThrowsExactly<ArgumentException>(() => new LeapNetwork(Config, refused));
    }

    [TestMethod]
    public void Forward_WrongArguments_AreRefused()
    {
        using var network = new LeapNetwork(Config, RandomWeights(Config));
        var other = new LeapConfig(70, 24, Length, 4, 2, windowSizes: [1, 3, 21, Length], convolutionSize: 4);
        using var global = new NetworkState(new LeapConfig(70, 24, Length, 4, 2, useLocalAttention: false, convolutionSize: 4));
        using var forgetting = new LeapNetwork(
            new LeapConfig(70, 24, Length, 4, 2, convolutionSize: 4, useForgetGates: true), RandomWeights(Config));
        using NetworkState state = network.CreateState();
        using var foreign = new NetworkState(other);
        using var ofAnotherFocus = new NetworkState(new LeapConfig(70, 24, Length, 4, 2, windowSizes: [1, 3, 20, Length], convolutionSize: 4, focusSize: 5));
        float[] hidden = new float[24];
        Assert.ThrowsExactly<ArgumentException>(() => network.Read([], state, hidden));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => network.Read([70], state, hidden));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => network.Read([-1], state, hidden));
        Assert.ThrowsExactly<ArgumentException>(() => network.Read([1], foreign, hidden));
        Assert.ThrowsExactly<ArgumentException>(() => network.Read([1], ofAnotherFocus, hidden));
        Assert.ThrowsExactly<ArgumentException>(() => forgetting.Read([1], global, hidden));
        Assert.ThrowsExactly<ArgumentException>(() => network.Step([1, 2], [state], [hidden, hidden]));
    }

    [TestMethod]
    public void Forward_FromManyThreads_GivesEachItsOwn()
    {
        using var network = new LeapNetwork(Config, RandomWeights(Config));
        float[][] expected = [.. Enumerable.Range(0, 8).Select(Run)];
        float[][] got = new float[8][];
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => got[i] = Run(i));
        for (int i = 0; i < 8; i++)
            CollectionAssert.AreEqual(expected[i], got[i]);

        float[] Run(int seed)
        {
            using NetworkState state = network.CreateState();
            float[] hidden = new float[Config.HiddenSize];
            foreach (int id in RandomIds(seed, Length, 70))
                network.Read([id], state, hidden);
            return Logits(network, hidden);
        }
    }

    [TestMethod]
    public void Dispose_WhileInUse_LetsTheCallEnd()
    {
        var network = new LeapNetwork(Config, RandomWeights(Config));
        float[] expected = Hidden(network, [RandomIds(1, 30, 70)])[0];
        float[] hidden = new float[expected.Length];
        bool isDisposed = false;
        network.Forward([RandomIds(1, 30, 70)], null, (_, _, _, values) => new ReadOnlySpan<float>(values, hidden.Length).CopyTo(hidden), Observe);
        CollectionAssert.AreEqual(expected, hidden);
        Assert.ThrowsExactly<ObjectDisposedException>(() => Hidden(network, [[1]]));
        Assert.ThrowsExactly<ObjectDisposedException>(network.GetWeights);

        void Observe(int layer, int sequence, int first, int count, in LayerValues values)
        {
            if (!isDisposed)
                network.Dispose();
            isDisposed = true;
        }
    }
}
