using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TokenBlocksTests
{
    [TestMethod]
    [DataRow(0, 4, 0)]
    [DataRow(1, 4, 0)]
    [DataRow(2, 4, 1)]
    [DataRow(5, 4, 1)]
    [DataRow(6, 4, 2)]
    [DataRow(9, 4, 2)]
    public void Count_AnyLength_KeepsTheTail(int ids, int contextLength, int expected) =>
        Assert.AreEqual(expected, new TokenBlocks(new int[ids], contextLength).Count);

    [TestMethod]
    public void Batch_OfAllBlocks_PredictsEveryIdButTheFirstOnce()
    {
        int[] ids = [.. Enumerable.Range(100, 11)];
        var blocks = new TokenBlocks(ids, 4);
        using var scope = NewDisposeScope();

        (Tensor inputs, Tensor targets, int count) = blocks.Batch([0, 1, 2], CPU);

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
                Assert.AreEqual(TokenBlocks.IgnoredTarget, flatTargets[i]);
        }
    }

    [TestMethod]
    public void Batch_OfShortBlockAlone_IsNoWiderThanIt()
    {
        var blocks = new TokenBlocks([1, 2, 3, 4, 5, 6, 7], 4);
        using var scope = NewDisposeScope();

        (Tensor inputs, _, int count) = blocks.Batch([1], CPU);

        Assert.AreEqual(2, count);
        CollectionAssert.AreEqual(new long[] { 1, 2 }, inputs.shape);
    }
}
