using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class RawMemoryTests
{
    [TestMethod]
    public void Singles_PartOfATensor_PointAtItsFirstValue()
    {
        using var scope = NewDisposeScope();
        Tensor x = arange(12, ScalarType.Float32).view(3, 4);

        Assert.AreEqual(4, RawMemory.Singles(x[1])[0]);
        Assert.AreEqual(11, RawMemory.Singles(x)[11]);
    }

    // More than a span can hold; only one page of its memory is ever touched.
    [TestMethod]
    public void BFloat16s_OfMoreThanTwoGigabytes_PointAtTheFirstValue()
    {
        using var scope = NewDisposeScope();
        Tensor x = empty([(1L << 30) + 1], ScalarType.BFloat16);
        x[0] = 1;

        Assert.AreEqual(0x3f80, RawMemory.BFloat16s(x)[0]);
    }

    [TestMethod]
    public void Singles_OfNoValues_AreNone()
    {
        using var scope = NewDisposeScope();

        Assert.IsTrue(RawMemory.Singles(empty(0)) == null);
    }

    [TestMethod]
    public void Singles_OtherTypeOrOrder_Throws()
    {
        using var scope = NewDisposeScope();

        Assert.ThrowsExactly<ArgumentException>(() => RawMemory.Singles(ones(2, ScalarType.Float64)));
        Assert.ThrowsExactly<ArgumentException>(() => RawMemory.Singles(ones(2, 3).t()));
    }
}
