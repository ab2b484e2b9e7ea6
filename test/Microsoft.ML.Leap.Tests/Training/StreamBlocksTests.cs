using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class StreamBlocksTests
{
    [TestMethod]
    [DataRow(0, 4, 0)]
    [DataRow(1, 4, 0)]
    [DataRow(2, 4, 1)]
    [DataRow(5, 4, 1)]
    [DataRow(6, 4, 2)]
    [DataRow(9, 4, 2)]
    public void Count_AnyLength_KeepsTheTail(int ids, int contextLength, int expected) =>
        Assert.AreEqual(expected, new StreamBlocks(new int[ids], contextLength).Count);

    [TestMethod]
    public void Batch_OfAllBlocks_PredictsEveryIdButTheFirstOnce()
    {
        int[] ids = [.. Enumerable.Range(100, 11)];
        var blocks = new StreamBlocks(ids, 4);
        using var scope = NewDisposeScope();

        (Tensor inputs, Tensor targets, int count) = blocks.Batch([blocks[0], blocks[1], blocks[2]], CPU);

        Assert.AreEqual(10, count);
        CollectionAssert.AreEqual(new long[] { 3, 4 }, inputs.shape);
        long[] flatInputs = inputs.data<long>().ToArray();
        long[] flatTargets = targets.data<long>().ToArray();
        CollectionAssert.AreEqual(ids[1..].Select(id => (long)id).ToArray(), flatTargets.Where(id => id >= 0).ToArray());
        for (int i = 0; i < flatInputs.Length; i++)
        {
            if (flatTargets[i] >= 0)
                Assert.AreEqual(flatInputs[i] + 1, flatTargets[i]);
            else
                Assert.AreEqual(LinearCrossEntropy.IgnoredTarget, flatTargets[i]);
        }
    }

    [TestMethod]
    public void Batch_OfShortBlockAlone_IsNoWiderThanIt()
    {
        var blocks = new StreamBlocks([1, 2, 3, 4, 5, 6, 7], 4);
        using var scope = NewDisposeScope();

        (Tensor inputs, _, int count) = blocks.Batch([blocks[1]], CPU);

        Assert.AreEqual(2, count);
        CollectionAssert.AreEqual(new long[] { 1, 2 }, inputs.shape);
    }

    [TestMethod]
    public void Batch_OfSpilledIds_EqualsThatOfIdsInMemory()
    {
        using var folder = new TemporaryFolder();
        int[] ids = [.. Enumerable.Range(0, 1001).Select(i => i * i % 997)];
        using var builder = new TokenStoreBuilder(997, maximumMemory: 100, folder.Path);
        builder.Append(ids);
        using TokenStore store = builder.Build();
        Assert.AreEqual(1, folder.OpenFileCount);
        var spilled = new StreamBlocks(store, 16);
        var inMemory = new StreamBlocks(ids, 16);
        TokenBlock[] all = [.. Enumerable.Range(0, inMemory.Count).Select(index => inMemory[index])];
        using var scope = NewDisposeScope();

        Assert.AreEqual(inMemory.Count, spilled.Count);
        (Tensor expectedInputs, Tensor expectedTargets, _) = inMemory.Batch(all, CPU);
        (Tensor inputs, Tensor targets, _) = spilled.Batch(all, CPU);

        CollectionAssert.AreEqual(expectedInputs.data<long>().ToArray(), inputs.data<long>().ToArray());
        CollectionAssert.AreEqual(expectedTargets.data<long>().ToArray(), targets.data<long>().ToArray());
    }

    [TestMethod]
    public void Separate_Ids_ShiftsWithinEachBlockAndDropsTheRemainder()
    {
        using TokenStore store = TokenStore.Pack([.. Enumerable.Range(10, 11)]);
        StreamBlocks blocks = StreamBlocks.Separate(store, 4);
        using var scope = NewDisposeScope();

        (Tensor inputs, Tensor targets, int count) = blocks.Batch([blocks[1], blocks[0]], CPU);

        Assert.AreEqual(2, blocks.Count);
        Assert.AreEqual(6, blocks.TargetCount);
        Assert.AreEqual(6, count);
        CollectionAssert.AreEqual(new long[] { 14, 15, 16, 10, 11, 12 }, inputs.data<long>().ToArray());
        CollectionAssert.AreEqual(new long[] { 15, 16, 17, 11, 12, 13 }, targets.data<long>().ToArray());
    }

    [TestMethod]
    public void Count_BeyondThirtyTwoBits_CountsInLong()
    {
        using var store = new TokenStore(new EndlessIds(5_000_000_000), sizeof(int));
        var blocks = new StreamBlocks(store, 1024);
        using var scope = NewDisposeScope();

        (Tensor inputs, Tensor targets, int count) = blocks.Batch([blocks[blocks.Count - 1]], CPU);

        Assert.AreEqual(4_999_999_999, blocks.TargetCount);
        Assert.AreEqual(4_882_813, blocks.Count);
        Assert.AreEqual(4_999_999_999 - 4_882_812L * 1024, count);
        Assert.AreEqual(4_882_812L * 1024 % 1000, inputs[0, 0].item<long>());
        Assert.AreEqual(4_999_999_999 % 1000, targets[0, -1].item<long>());
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => new StreamBlocks(store, 1)).Message, "ContextLength");
    }

    /// <summary>Holds nothing: the id at a place is the place modulo 1,000.</summary>
    private sealed class EndlessIds(long count) : ByteStore(count * sizeof(int))
    {
        public override void Read(long offset, Span<byte> destination)
        {
            Span<int> ids = MemoryMarshal.Cast<byte, int>(destination);
            for (int i = 0; i < ids.Length; i++)
                ids[i] = (int)((offset / sizeof(int) + i) % 1000);
        }

        public override void Dispose()
        {
        }
    }
}
