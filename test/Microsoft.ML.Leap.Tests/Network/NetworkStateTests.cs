using System.Text;
using static Microsoft.ML.Leap.Tests.NetworkFixtures;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class NetworkStateTests
{
    private static readonly LeapConfig Config = new(50, 20, 40, 4, 2, windowSizes: [1, 3, 9, 40], convolutionSize: 4);

    [TestMethod]
    public void CloneWriteReset_AfterReading_KeepTheSumsBitForBit()
    {
        using var network = new LeapNetwork(Config, RandomWeights(Config));
        using NetworkState state = network.CreateState();
        long size = state.SizeInBytes;
        float[] start = Hidden(network, [RandomIds(5, 2, 50)], [state])[0];
        Hidden(network, [RandomIds(1, 20, 50)], [state]);
        using NetworkState clone = state.Clone();
        using NetworkState read = network.CreateState();
        read.Read(new BinaryReader(new MemoryStream(Bytes(state))));
        int[] next = RandomIds(2, 11, 50);

        float[] expected = Hidden(network, [next], [state])[0];

        CollectionAssert.AreEqual(expected, Hidden(network, [next], [clone])[0]);
        CollectionAssert.AreEqual(expected, Hidden(network, [next], [read])[0]);
        Assert.AreEqual(33, read.Position);
        Assert.AreEqual(size, state.SizeInBytes);
        state.Reset();
        CollectionAssert.AreEqual(start, Hidden(network, [RandomIds(5, 2, 50)], [state])[0]);
    }

    [TestMethod]
    public void Read_DamagedBytes_AreRefused()
    {
        using var state = new NetworkState(Config);
        byte[] bytes = Bytes(state);
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

    private static byte[] Bytes(NetworkState state)
    {
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true))
            state.Write(writer);
        return stream.ToArray();
    }
}
