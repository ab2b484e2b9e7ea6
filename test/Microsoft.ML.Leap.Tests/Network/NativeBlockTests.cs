namespace Microsoft.ML.Leap.Tests;

/// <summary>Memory outside of the collected heap, in ordinary and in huge pages.</summary>
[TestClass]
public unsafe class NativeBlockTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(1000)]
    [DataRow((1 << 20) - 1)]
    [DataRow(1 << 20)]
    [DataRow((3 << 20) + 5)]
    [DataRow(7 << 20)]
    public void Start_OfAnySize_IsAlignedAndAllCanBeWritten(int bytes)
    {
        var block = new NativeBlock(bytes);
        var span = new Span<byte>(block.Start, bytes);
        span.Fill(7);

        Assert.AreEqual(0L, (long)block.Start % NativeBlock.Alignment);
        Assert.IsFalse(span.ContainsAnyExcept((byte)7));
        block.Release();
    }

    [TestMethod]
    public void Release_OfSeveralUsers_TheLastOneFrees()
    {
        var block = new NativeBlock(100);
        NativeBlock same = block.AddUser();

        Assert.AreSame(block, same);
        block.Release();
        Assert.IsTrue(block.Start is not null);
        same.Release();
        Assert.IsTrue(block.Start is null);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(3)]
    [DataRow(600_000)]
    public void NativeArray_OfAnyLength_HoldsItsNumbersAndNoOthers(int length)
    {
        int[] numbers = [.. Enumerable.Range(-1, length)];
        var array = new NativeArray<int>(numbers);

        Assert.AreEqual(length, array.Length);
        CollectionAssert.AreEqual(numbers, array.AsSpan(0, length).ToArray());
        for (int i = 0; i < length; i += 1 + length / 10)
        {
            Assert.AreEqual(numbers[i], array[i]);
            array.Set(i, 5);
            Assert.AreEqual(5, array[i]);
        }

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => array[length]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => array[-1]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => array.Set(length, 1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => array.AsSpan(1, length).Length);
        GC.KeepAlive(array);
    }
}
