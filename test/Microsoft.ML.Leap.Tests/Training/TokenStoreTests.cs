namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenStoreTests
{
    private const int IdsAChunk = ByteStoreBuilder.ChunkBytes / 2;

    [TestMethod]
    [DataRow(65_536, long.MaxValue, false)]
    [DataRow(65_536, 0L, true)]
    [DataRow(65_536, (long)ByteStoreBuilder.ChunkBytes, true)]
    [DataRow(65_536, 2L * ByteStoreBuilder.ChunkBytes + 2, true)]
    [DataRow(65_537, long.MaxValue, false)]
    [DataRow(65_537, 3L * ByteStoreBuilder.ChunkBytes, true)]
    public void Read_AcrossBordersOfChunks_GivesTheIdsThatWereAppended(int vocabularySize, long maximumMemory, bool isSpilled)
    {
        using var folder = new TemporaryFolder();
        int[] ids = Ids(3 * IdsAChunk + 5, vocabularySize);
        using var builder = new TokenStoreBuilder(vocabularySize, maximumMemory, folder.Path);
        for (int start = 0, size = 1; start < ids.Length; start += size, size = size * 3 + 1)
            builder.Append(ids.AsSpan(start, Math.Min(size, ids.Length - start)));

        using (TokenStore store = builder.Build())
        {
            Assert.AreEqual(ids.Length, store.Count);
            Assert.AreEqual(vocabularySize > 65_536 ? 4 : 2, store.IdSize);
            Assert.AreEqual(isSpilled ? 1 : 0, folder.OpenFileCount);
            AssertReads(store, ids, 0, ids.Length);
            foreach (int border in new[] { IdsAChunk / 2, IdsAChunk, 2 * IdsAChunk, 3 * IdsAChunk })
            {
                AssertReads(store, ids, border - 2, 5);
                AssertReads(store, ids, border - 1, 1);
                AssertReads(store, ids, border, 1);
            }

            AssertReads(store, ids, ids.Length - 1, 1);
            AssertReads(store, ids, ids.Length, 0);
        }

        Assert.HasCount(0, folder.Files);
    }

    [TestMethod]
    [DataRow(0L)]
    [DataRow(long.MaxValue)]
    public void Read_OutsideTheStore_IsRefused(long maximumMemory)
    {
        using var folder = new TemporaryFolder();
        using var builder = new TokenStoreBuilder(10, maximumMemory, folder.Path);
        builder.Append([1, 2, 3]);
        using TokenStore store = builder.Build();

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => store.Read(-1, new int[1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => store.Read(2, new int[2]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => store.Read(long.MaxValue, new int[1]));
    }

    [TestMethod]
    public void Dispose_OfBuilderWithoutStore_DeletesTheFile()
    {
        using var folder = new TemporaryFolder();
        using (var builder = new TokenStoreBuilder(10, 0, Path.Combine(folder.Path, "new")))
        {
            builder.Append([1, 2, 3]);
            Assert.AreEqual(1, folder.OpenFileCount);

            // A process that is killed here leaves no texts behind.
            if (!OperatingSystem.IsWindows())
                Assert.HasCount(0, folder.Files);
        }

        Assert.HasCount(0, folder.Files);
        Assert.AreEqual(0, folder.OpenFileCount);
    }

    [TestMethod]
    [DataRow(1, 2)]
    [DataRow(65_535, 2)]
    [DataRow(65_536, 4)]
    [DataRow(int.MaxValue, 4)]
    public void Pack_Ids_TakesTheBytesThatTheLargestNeeds(int largest, int idSize)
    {
        using TokenStore store = TokenStore.Pack([0, largest]);
        Assert.AreEqual(idSize, store.IdSize);
        AssertReads(store, [0, largest], 0, 2);
    }

    private static void AssertReads(TokenStore store, int[] ids, int start, int count)
    {
        int[] read = new int[count];
        store.Read(start, read);
        Assert.IsTrue(ids.AsSpan(start, count).SequenceEqual(read), $"{count} ids from {start}");
    }

    private static int[] Ids(int count, int vocabularySize)
    {
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabularySize))];
        ids[^1] = vocabularySize - 1;
        return ids;
    }
}
