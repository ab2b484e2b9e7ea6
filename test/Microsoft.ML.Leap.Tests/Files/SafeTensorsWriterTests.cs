using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SafeTensorsWriterTests
{
    [TestMethod]
    public void Write_Tensors_HasTheLayoutOfTheFormat()
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] file = Write(("b", full(1, 3f)), ("a", arange(1f, 3f)), ("i", full(1, 5L)));

        int length = BitConverter.ToInt32(file);
        string header = Encoding.UTF8.GetString(file, 8, length);
        Assert.AreEqual(0, length % 8);
        Assert.AreEqual(
            """{"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}"""
            + ""","a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}""",
            header.TrimEnd(' '));
        CollectionAssert.AreEqual(
            (byte[])[.. SafeTensorsFile.Longs(5), .. SafeTensorsFile.Floats(1, 2, 3)], file[(8 + length)..]);
    }

    [TestMethod]
    public void Write_ThenLoad_IsBitEqualForEveryType()
    {
        using DisposeScope scope = NewDisposeScope();
        var random = new Random(1);
        byte[] bytes = new byte[64];
        random.NextBytes(bytes);
        var tensors = new Dictionary<string, Tensor>();
        ScalarType[] types =
        [
            ScalarType.Bool, ScalarType.Byte, ScalarType.Int8, ScalarType.Int16, ScalarType.Float16, ScalarType.BFloat16,
            ScalarType.Int32, ScalarType.Float32, ScalarType.Int64, ScalarType.Float64,
        ];
        foreach (ScalarType type in types)
        {
            Tensor one = empty([8], dtype: type);
            bytes.AsSpan(0, one.bytes.Length).CopyTo(one.bytes);
            tensors[type.ToString()] = one;
        }

        byte[] file = Write([.. tensors.Select(pair => (pair.Key, pair.Value))]);
        IReadOnlyDictionary<string, Tensor> loaded = TensorFiles.Load(new MemoryStream(file), file.Length, "f");

        Assert.HasCount(types.Length, loaded);
        foreach ((string name, Tensor expected) in tensors)
        {
            Assert.AreEqual(expected.dtype, loaded[name].dtype);
            Assert.IsTrue(expected.bytes.SequenceEqual(loaded[name].bytes), name);
        }
    }

    [TestMethod]
    public void Write_NonContiguousAndViews_WritesTheirValuesInOrder()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        byte[] file = Write(("t", matrix.t()), ("v", matrix.narrow(1, 1, 2)), ("s", tensor(9f)));

        IReadOnlyDictionary<string, Tensor> loaded = TensorFiles.Load(new MemoryStream(file), file.Length, "f");

        CollectionAssert.AreEqual(new float[] { 0, 3, 1, 4, 2, 5 }, loaded["t"].data<float>().ToArray());
        CollectionAssert.AreEqual(new float[] { 1, 2, 4, 5 }, loaded["v"].data<float>().ToArray());
        Assert.AreEqual(9f, loaded["s"].item<float>());
        Assert.AreEqual(0, loaded["s"].dim());
    }

    [TestMethod]
    public void Write_LargerThanAPiece_RoundTripsWithBoundedMemory()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor big = arange(3_000_001, dtype: ScalarType.Float32).requires_grad_();
        string path = Path.GetTempFileName();
        try
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            using (FileStream stream = File.Create(path))
                TensorFiles.Write(stream, [new("big", big)]);
            Tensor loaded = TensorFiles.Load(path)["big"];
            Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.IsTrue(loaded.equal(big).all().item<bool>());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void Write_ThenLoad_LeavesNoTensorBehind()
    {
        long before = Tensor.TotalCount;
        using (DisposeScope scope = NewDisposeScope())
        {
            byte[] file = Write(("t", rand(3, 4).t()), ("u", rand(2)));
            TensorFiles.Load(new MemoryStream(file), file.Length, "f");
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void Write_NameTwiceOrReservedOrUnknownType_ThrowsArgumentException()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor one = ones(1);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Write(("a", one), ("a", one))).Message, "'a'");
        Assert.ThrowsExactly<ArgumentException>(() => Write(("__metadata__", one)));
        Assert.ThrowsExactly<ArgumentException>(() => Write(("c", one.to(ScalarType.ComplexFloat32))));
    }

    [TestMethod]
    [DataRow("tiny_masked")]
    [DataRow("attention_peaked_w4")]
    public void Write_AFixtureReadBack_KeepsEveryBit(string fixture)
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] original = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Fixtures", fixture + ".safetensors"));
        IReadOnlyDictionary<string, Tensor> first = TensorFiles.Load(new MemoryStream(original), original.Length, fixture);

        byte[] file = Write([.. first.Select(pair => (pair.Key, pair.Value))]);

        IReadOnlyDictionary<string, Tensor> second = TensorFiles.Load(new MemoryStream(file), file.Length, fixture);
        Assert.HasCount(first.Count, second);
        foreach ((string name, Tensor value) in first)
            Assert.IsTrue(value.bytes.SequenceEqual(second[name].bytes), name);
    }

    private static byte[] Write(params (string Name, Tensor Tensor)[] tensors)
    {
        using var stream = new MemoryStream();
        TensorFiles.Write(stream, tensors.Select(pair => KeyValuePair.Create(pair.Name, pair.Tensor)));
        return stream.ToArray();
    }
}
