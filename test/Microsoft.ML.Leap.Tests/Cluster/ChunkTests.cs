namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class ChunkTests
{
    private static readonly byte[] Blob = MakeBlob(2 * Chunk.MaximumLength + 17);

    [TestMethod]
    [DataRow(0, 1)]
    [DataRow(1, 1)]
    [DataRow(Chunk.MaximumLength, 1)]
    [DataRow(Chunk.MaximumLength + 1, 2)]
    public void Cut_AnyLength_IsPutTogetherAgain(int length, int count)
    {
        byte[] blob = MakeBlob(length);
        Assert.AreEqual(count, Chunk.CountOf(length));

        CollectionAssert.AreEqual(blob, Collect(CutAll(blob)).ToArray());
    }

    [TestMethod]
    public void TryAdd_AnyOrderAndTwice_GivesTheBlob()
    {
        Chunk[] chunks = CutAll(Blob);
        Assert.HasCount(3, chunks);
        Assert.IsTrue(chunks.All(chunk => chunk.Bytes.Length <= Chunk.MaximumLength));

        CollectionAssert.AreEqual(Blob, Collect([chunks[2], chunks[0], chunks[2], chunks[1], chunks[1]]).ToArray());
    }

    [TestMethod]
    public void IsComplete_OneMissing_IsFalse()
    {
        Chunk[] chunks = CutAll(Blob);
        var collector = new ChunkCollector();
        Assert.IsFalse(collector.IsComplete);
        foreach (Chunk chunk in (Chunk[])[chunks[0], chunks[2], chunks[0]])
            Assert.IsTrue(collector.TryAdd(chunk));

        Assert.IsFalse(collector.IsComplete);
    }

    [TestMethod]
    public void TryAdd_Damaged_ChangesNothing()
    {
        Chunk[] chunks = CutAll(Blob);
        byte[] turned = [.. chunks[1].Bytes];
        turned[1000] ^= 1;
        var collector = new ChunkCollector();
        Chunk good = chunks[1];
        foreach (Chunk damaged in (Chunk[])
        [
            good with { Bytes = turned }, good with { Bytes = good.Bytes[..^1] }, good with { Index = 0 }, good with { Index = 3 }, good with { Index = -1 },
            good with { Round = 8 }, good with { Kind = BlobKind.Change }, good with { Count = 4 }, good with { Count = int.MaxValue }, good with { Sum = [] },
            good with { Sum = null! }, good with { Bytes = null! },
        ])
        {
            Assert.IsFalse(damaged.IsWhole);
            Assert.IsFalse(collector.TryAdd(damaged));
        }

        foreach (Chunk chunk in chunks)
            Assert.IsTrue(collector.TryAdd(chunk));
        CollectionAssert.AreEqual(Blob, collector.ToArray());
    }

    [TestMethod]
    public void TryAdd_OfABlobOfAnotherLength_IsRefused()
    {
        var collector = new ChunkCollector();
        Assert.IsTrue(collector.TryAdd(CutAll(Blob)[0]));

        Assert.IsFalse(collector.TryAdd(CutAll(MakeBlob(5))[0]));
    }

    private static Chunk[] CutAll(byte[] blob) =>
        [.. Enumerable.Range(0, Chunk.CountOf(blob.Length)).Select(index => Chunk.Cut(BlobKind.Difference, 7, blob, index))];

    private static ChunkCollector Collect(Chunk[] chunks)
    {
        var collector = new ChunkCollector();
        foreach (Chunk chunk in chunks)
            Assert.IsTrue(collector.TryAdd(chunk));
        Assert.IsTrue(collector.IsComplete);
        return collector;
    }

    private static byte[] MakeBlob(int length)
    {
        byte[] blob = new byte[length];
        new Random(1).NextBytes(blob);
        return blob;
    }
}
