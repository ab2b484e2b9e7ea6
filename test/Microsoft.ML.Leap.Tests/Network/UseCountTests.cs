namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class UseCountTests
{
    [TestMethod]
    public void Release_WhileACallRuns_FreesAtItsEnd()
    {
        int freed = 0;
        var count = new UseCount(() => freed++);
        UseCount.Use first = count.Begin(this);
        UseCount.Use second = count.Begin(this);

        count.Release();
        first.Dispose();
        Assert.AreEqual(0, freed);
        second.Dispose();
        Assert.AreEqual(1, freed);
    }

    [TestMethod]
    public void Release_Twice_FreesOnceAndRefusesFurtherCalls()
    {
        int freed = 0;
        var count = new UseCount(() => freed++);
        count.Begin(this).Dispose();
        Assert.AreEqual(0, freed);

        count.Release();
        count.Release();

        Assert.AreEqual(1, freed);
        var exception = Assert.ThrowsExactly<ObjectDisposedException>(() => count.Begin(this).Dispose());
        StringAssert.Contains(exception.Message, nameof(UseCountTests));
    }
}
