namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class WorkSharingTests
{
    private const long Much = long.MaxValue;

    [TestMethod]
    [DataRow(1, 5)]
    [DataRow(2, 1)]
    [DataRow(2, 1000)]
    [DataRow(7, 3)]
    [DataRow(7, 1000)]
    public void For_AnyThreadsAndCount_DoesEachPieceOnce(int threads, int count)
    {
        var workers = new WorkSharing(threads);
        for (int round = 0; round < 50; round++)
        {
            int[] done = new int[count];
            workers.For(count, Much, i => Interlocked.Increment(ref done[i]));
            Assert.IsTrue(done.All(times => times == 1));
        }
    }

    [TestMethod]
    public void For_WithinFor_DoesEachPieceOnce()
    {
        var workers = new WorkSharing(3);
        int[] done = new int[20 * 30];
        workers.For(20, Much, i => workers.For(30, Much, k => Interlocked.Increment(ref done[i * 30 + k])));
        Assert.IsTrue(done.All(times => times == 1));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(4)]
    public void For_PieceThatThrows_ThrowsThatToTheCaller(int threads)
    {
        var workers = new WorkSharing(threads);
        int running = 0;
        FormatException e = Assert.ThrowsExactly<FormatException>(() => workers.For(100, Much, i =>
        {
            Interlocked.Increment(ref running);
            try
            {
                if (i == 70)
                    throw new FormatException("piece 70");
            }
            finally
            {
                Interlocked.Decrement(ref running);
            }
        }));
        Assert.AreEqual("piece 70", e.Message);

        // Whoever is told of the end can rely on it.
        Assert.AreEqual(0, running);
    }

    [TestMethod]
    [DataRow(1, 200)]
    [DataRow(3, 1)]
    [DataRow(3, 64)]
    [DataRow(3, 1001)]
    public void ForRows_AnyThreadsAndRows_CoversEachRowOnce(int threads, int rows)
    {
        foreach (long multiplications in (long[])[1, 1 << 24])
        {
            int[] done = new int[rows];
            new WorkSharing(threads).ForRows(rows, multiplications, (first, count) =>
            {
                for (int i = first; i < first + count; i++)
                    Interlocked.Increment(ref done[i]);
            });
            Assert.IsTrue(done.All(times => times == 1));
        }
    }
}
