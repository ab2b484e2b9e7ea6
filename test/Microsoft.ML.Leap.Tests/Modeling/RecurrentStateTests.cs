using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class RecurrentStateTests
{
    private const int Length = 40;

    private static readonly LeapConfig Config = new(50, 24, Length, 4, 2, windowSizes: [1, 3, 9, Length], initializerRange: 0.4);

    private static readonly LeapConfig Endless = new(
        50, 24, 8, 4, 2, windowSizes: [1, 3, 5, 8], initializerRange: 0.4, usePositionEmbeddings: false);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Continue_AnySplit_EqualsOnePass(bool usesTensors)
    {
        using LeapModel model = Network(Config);
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor ids = Ids(1, Length);
        float[] expected = Values(model.Logits(model.Hidden(ids, null)));
        for (int split = 0; split <= Length; split++)
        {
            using RecurrentState state = Create(Config, usesTensors);
            List<Tensor> hidden = [];
            if (split > 0)
                hidden.Add(model.Continue(ids.narrow(1, 0, split), [state]));
            for (int i = split; i < Length; i++)
                hidden.Add(model.Continue(ids.narrow(1, i, 1), [state]));

            AssertClose(expected, Values(model.Logits(cat([.. hidden], 1))), 1e-5);
            Assert.AreEqual(Length, state.Position);
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Continue_PiecesPastTheContext_EqualNaiveNetwork(bool usesTensors)
    {
        // Every window of this network but the last, and that is all that came before, shows in a context as long as the text.
        using LeapModel model = Network(Endless);
        var longer = new LeapConfig(50, 24, 100, 4, 2, windowSizes: [1, 3, 5, 100], initializerRange: 0.4, usePositionEmbeddings: false);
        using LeapModel whole = Network(longer);
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor ids = Ids(1, 100);
        using RecurrentState state = Create(Endless, usesTensors);

        Tensor[] pieces = [.. new[] { 0, 7, 20, 21, 60 }.Zip(new[] { 7, 13, 1, 39, 40 }, (start, count) =>
            model.Continue(ids.narrow(1, start, count), [state]))];

        AssertClose(Values(whole.Hidden(ids, null)), Values(cat(pieces, 1)), 1e-5);
    }

    [TestMethod]
    public void Continue_BatchOfStates_EqualsEachAlone()
    {
        using LeapModel model = Network(Config);
        using var scope = NewDisposeScope();
        Tensor first = Ids(1, 9);
        Tensor second = Ids(2, 4);
        using RecurrentState a = Create(Config, false);
        using RecurrentState b = Create(Config, false);
        model.Continue(first, [a]);
        model.Continue(second, [b]);
        using RecurrentState aAlone = a.Clone();
        using RecurrentState bAlone = b.Clone();
        Tensor next = Ids(3, 2).view(2, 1);

        Tensor together = model.Continue(next, [a, b]);

        AssertClose(Values(together[0]), Values(model.Continue(next.narrow(0, 0, 1), [aAlone])), 1e-5);
        AssertClose(Values(together[1]), Values(model.Continue(next.narrow(0, 1, 1), [bAlone])), 1e-5);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void CloneWriteReset_AfterReading_KeepTheSumsBitForBit(bool usesTensors)
    {
        using LeapModel model = Network(Config);
        using var scope = NewDisposeScope();
        using RecurrentState state = Create(Config, usesTensors);
        long size = state.SizeInBytes;
        float[] start = Values(model.Continue(Ids(5, 2), [state]));
        model.Continue(Ids(1, 20), [state]);
        using RecurrentState clone = state.Clone();
        using RecurrentState read = Create(Config, usesTensors);
        Copy(state, read);
        Tensor next = Ids(2, 11);

        float[] expected = Values(model.Continue(next, [state]));

        CollectionAssert.AreEqual(expected, Values(model.Continue(next, [clone])));
        CollectionAssert.AreEqual(expected, Values(model.Continue(next, [read])));
        Assert.AreEqual(33, read.Position);
        Assert.AreEqual(size, state.SizeInBytes);
        state.Reset();
        CollectionAssert.AreEqual(start, Values(model.Continue(Ids(5, 2), [state])));
    }

    [TestMethod]
    public void Read_DamagedBytes_AreRefused()
    {
        using RecurrentState state = Create(Config, false);
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true))
            state.Write(writer);
        byte[] bytes = stream.ToArray();
        Assert.ThrowsExactly<EndOfStreamException>(() => Read(bytes[..^1]));
        byte[] negative = [.. bytes];
        negative[7] = 0x80;
        Assert.ThrowsExactly<FormatException>(() => Read(negative));
        byte[] place = [.. bytes];
        place[8] = 200;
        Assert.ThrowsExactly<FormatException>(() => Read(place));

        void Read(byte[] damaged)
        {
            using var reader = new BinaryReader(new MemoryStream(damaged));
            state.Read(reader);
        }
    }

    private static RecurrentState Create(LeapConfig config, bool usesTensors) =>
        usesTensors ? new TensorRecurrentState(config, CPU) : RecurrentState.Create(config, CPU);

    private static LeapModel Network(LeapConfig config)
    {
        var model = new LeapModel(config, CPU, 3);
        model.eval();
        return model;
    }

    private static Tensor Ids(int seed, int count)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, count).Select(_ => (long)random.Next(50))], [1, count]);
    }

    private static float[] Values(Tensor x) => x.contiguous().data<float>().ToArray();

    private static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], tolerance * Math.Max(1, Math.Abs(expected[i])), $"value {i}");
    }

    private static void Copy(RecurrentState from, RecurrentState to)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        from.Write(writer);
        stream.Position = 0;
        using var reader = new BinaryReader(stream);
        to.Read(reader);
        Assert.AreEqual(stream.Length, stream.Position);
    }
}
