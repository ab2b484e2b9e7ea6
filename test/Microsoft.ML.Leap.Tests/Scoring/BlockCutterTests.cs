namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class BlockCutterTests
{
    private const int Start = -1;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Cut_AnyStrideAndLength_ScoresEachIdOnceWithItsContextBeforeIt(bool shiftsLast)
    {
        for (int length = 1; length <= 6; length++)
        {
            for (int stride = 1; stride <= length; stride++)
            {
                for (int count = 0; count <= 20; count++)
                    CheckSharedBlocks(new BlockPlan { Size = length + 1, Advance = stride, StartId = Start, ShiftsLast = shiftsLast }, count);
            }
        }
    }

    [TestMethod]
    public void Cut_BlocksWithoutSharedBorders_ScoreAllButTheFirstOfEach()
    {
        for (int size = 2; size <= 5; size++)
        {
            for (int count = 0; count <= 20; count++)
            {
                EvaluationBlock[] blocks = Cut(new BlockPlan { Size = size, Advance = size, StartId = null }, count);
                int[][] expected = [.. Enumerable.Range(0, count).Chunk(size).Where(ids => ids.Length > 1)];
                Assert.HasCount(expected.Length, blocks);
                for (int b = 0; b < blocks.Length; b++)
                {
                    CollectionAssert.AreEqual(expected[b], blocks[b].Ids);
                    Assert.AreEqual(0, blocks[b].FirstScored);
                }
            }
        }
    }

    [TestMethod]
    public void Cut_RemainderDropped_LeavesTheFullBlocks()
    {
        var plan = new BlockPlan { Size = 5, Advance = 4, StartId = Start };
        for (int count = 0; count <= 20; count++)
        {
            EvaluationBlock[] kept = Cut(plan with { DropsRemainder = true }, count);
            Assert.HasCount(count / 4, kept);
            Assert.IsTrue(kept.All(block => block.Ids.Length == 5));
        }
    }

    [TestMethod]
    public void Add_SecondStream_StartsAnew()
    {
        var cutter = new BlockCutter(new BlockPlan { Size = 4, Advance = 2, StartId = Start, ShiftsLast = true });
        for (int stream = 0; stream < 3; stream++)
        {
            Assert.IsNull(cutter.Add(10));
            Assert.IsNull(cutter.Add(11));
            EvaluationBlock first = cutter.Add(12)!.Value;
            Assert.IsNull(cutter.Add(13));
            EvaluationBlock last = cutter.End()!.Value;

            CollectionAssert.AreEqual(new[] { Start, 10, 11, 12 }, first.Ids);
            CollectionAssert.AreEqual(new[] { 10, 11, 12, 13 }, last.Ids);
            Assert.AreEqual((0, true), (first.FirstScored, first.StartsStream));
            Assert.AreEqual((2, false), (last.FirstScored, last.StartsStream));
        }
    }

    [TestMethod]
    [DataRow(1_000_000_000)]
    [DataRow(int.MaxValue)]
    public void Cut_HugeContext_TakesMemoryForWhatIsReadAlone(int contextLength)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        foreach (EvaluationMode mode in Enum.GetValues<EvaluationMode>())
        {
            EvaluationBlock[] blocks = Cut(BlockPlan.Create(new EvaluationOptions { Mode = mode }, contextLength, Start), 3);
            CollectionAssert.AreEqual(new[] { Start, 0, 1, 2 }, blocks.Single().Ids);
        }

        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static void CheckSharedBlocks(BlockPlan plan, int count)
    {
        int length = plan.Size - 1;
        int[] scored = new int[count];
        EvaluationBlock[] blocks = Cut(plan, count);
        for (int b = 0; b < blocks.Length; b++)
        {
            int[] ids = blocks[b].Ids;
            Assert.IsTrue(ids.Length <= plan.Size && ids.Length >= 2);
            Assert.AreEqual(b == 0, blocks[b].StartsStream);
            Assert.AreEqual(b == 0, ids[0] == Start);
            for (int i = 1; i < ids.Length; i++)
                Assert.AreEqual(ids[i - 1] + 1, ids[i]);
            for (int i = blocks[b].FirstScored; i < ids.Length - 1; i++)
                scored[ids[i + 1]]++;
            Assert.IsTrue(b == 0 || blocks[b].FirstScored >= length - plan.Advance);
            Assert.IsTrue(b == 0 || !plan.ShiftsLast || ids.Length == plan.Size);
        }

        Assert.IsTrue(scored.All(times => times == 1), $"length {length}, stride {plan.Advance}, {count} ids");
    }

    // Ids 0, 1, 2, ... after the start, so that an id says where it stands.
    private static EvaluationBlock[] Cut(BlockPlan plan, int count)
    {
        var cutter = new BlockCutter(plan);
        List<EvaluationBlock?> blocks = [.. Enumerable.Range(0, count).Select(cutter.Add)];
        blocks.Add(cutter.End());
        return [.. blocks.OfType<EvaluationBlock>()];
    }
}
