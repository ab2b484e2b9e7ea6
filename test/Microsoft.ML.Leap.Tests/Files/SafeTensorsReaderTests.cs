using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SafeTensorsReaderTests
{
    private const string A16 = """{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}""";

    [TestMethod]
    public void Load_HandBuiltFile_GivesItsTensors()
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] file = SafeTensorsFile.Build(
            """{"__metadata__":{"x":"y"},"b":{"dtype":"I64","shape":[3],"data_offsets":[8,32]}"""
            + ""","a":{"shape":[2,1],"data_offsets":[0,8],"dtype":"F32"},"s":{"dtype":"BOOL","shape":[],"data_offsets":[32,33]}"""
            + ""","none":{"dtype":"F32","shape":[0,5],"data_offsets":[33,33]}}   """,
            SafeTensorsFile.Floats(1.5f, -2),
            SafeTensorsFile.Longs(7, -8, long.MaxValue),
            [1]);

        IReadOnlyDictionary<string, Tensor> tensors = TensorFiles.Load(new ForwardOnlyStream(file), file.Length, "f");

        Assert.HasCount(4, tensors);
        CollectionAssert.AreEqual(new[] { 1.5f, -2 }, tensors["a"].data<float>().ToArray());
        CollectionAssert.AreEqual(new long[] { 2, 1 }, tensors["a"].shape);
        CollectionAssert.AreEqual(new[] { 7, -8, long.MaxValue }, tensors["b"].data<long>().ToArray());
        Assert.IsTrue(tensors["s"].item<bool>());
        Assert.AreEqual(0, tensors["s"].dim());
        CollectionAssert.AreEqual(new long[] { 0, 5 }, tensors["none"].shape);
    }

    [TestMethod]
    public void ReadTensors_HalfAndDouble_ConvertToSingle()
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] file = SafeTensorsFile.Build(
            """{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}"""
            + ""","d":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}""",
            [0x00, 0x3C, 0x00, 0xC1], // 1, -2.5
            [0x80, 0x3F, 0x20, 0xC0], // 1, -2.5
            [.. BitConverter.GetBytes(1.0), .. BitConverter.GetBytes(-2.5)]);
        var reader = new SafeTensorsReader(new MemoryStream(file), file.Length, "f");
        var read = new Dictionary<string, Tensor>();

        TensorFiles.ReadInto(reader, info => read[info.Name] = zeros(info.Shape, dtype: ScalarType.Float32), requireFinite: true);

        foreach (string name in new[] { "h", "b", "d" })
            CollectionAssert.AreEqual(new[] { 1, -2.5f }, read[name].data<float>().ToArray(), name);
    }

    [TestMethod]
    public void ReadTensors_IntoParameter_KeepsItALeafThatNeedsGradients()
    {
        byte[] file = SafeTensorsFile.Small();
        using Tensor parameter = zeros(2, 2, requires_grad: true);

        TensorFiles.ReadInto(new SafeTensorsReader(new MemoryStream(file), file.Length, "f"), _ => parameter);

        Assert.IsTrue(parameter.requires_grad && parameter.is_leaf);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4 }, parameter.data<float>().ToArray());
    }

    [TestMethod]
    public void ReadTensors_DestinationOfOtherShapeOrKind_Throws()
    {
        byte[] file = SafeTensorsFile.Small();
        using Tensor misshapen = zeros(4);
        using Tensor mistyped = zeros([2, 2], dtype: ScalarType.Int64);

        foreach (Tensor destination in new[] { misshapen, mistyped })
        {
            var reader = new SafeTensorsReader(new MemoryStream(file), file.Length, "f");
            var e = Assert.ThrowsExactly<ArgumentException>(() => TensorFiles.ReadInto(reader, _ => destination));
            StringAssert.Contains(e.Message, "'a'");
            Assert.ThrowsExactly<InvalidOperationException>(() => TensorFiles.ReadInto(reader, _ => destination));
        }
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    [DataRow(float.NegativeInfinity)]
    public void ReadTensors_NonFinite_IsRefusedWhenAsked(float bad)
    {
        byte[] file = SafeTensorsFile.Build(A16, SafeTensorsFile.Floats(1, 2, bad, 4));
        using Tensor destination = zeros(2, 2);

        var e = Assert.ThrowsExactly<FormatException>(() =>
            TensorFiles.ReadInto(new SafeTensorsReader(new MemoryStream(file), file.Length, "weights"), _ => destination, requireFinite: true));

        StringAssert.Contains(e.Message, "weights: tensor 'a'");
        TensorFiles.ReadInto(new SafeTensorsReader(new MemoryStream(file), file.Length, "weights"), _ => destination);
    }

    [TestMethod]
    public void Load_TruncatedAnywhere_ThrowsFormatExceptionAndLeaksNothing()
    {
        byte[] file = SafeTensorsFile.Build(
            """{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}""",
            SafeTensorsFile.Floats(1, 2, 3, 4, 5));
        long before = Tensor.TotalCount;
        for (int length = 0; length < file.Length; length++)
        {
            // Both a file that is short, and one whose claimed length is right but whose data end early.
            Assert.ThrowsExactly<FormatException>(() => Load(file[..length], length));
            Assert.ThrowsExactly<FormatException>(() => Load(file[..length], file.Length));
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    [DataRow(0L)]
    [DataRow(-1L)]
    [DataRow(58L)]
    [DataRow(100_000_001L)]
    [DataRow(long.MaxValue)]
    public void Load_WrongHeaderLength_ThrowsFormatException(long claimed)
    {
        byte[] file = SafeTensorsFile.Build(A16, claimed, SafeTensorsFile.Floats(1, 2, 3, 4));
        Assert.ThrowsExactly<FormatException>(() => Load(file, file.Length));
    }

    [TestMethod]
    [DataRow("[]", "object")]
    [DataRow("{\"a\":3}", "'a' must be a JSON object")]
    [DataRow("{\"a\":{}}", "needs the keys")]
    [DataRow("{\"a\":", "JSON")]
    [DataRow("{} x", "JSON")]
    [DataRow("{}}", "JSON")]
    [DataRow("{\"__metadata__\":{\"a\":1}}", "must be a string")]
    [DataRow("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", "twice")]
    [DataRow("{\"__metadata__\":\"pt\"}", "__metadata__")]
    [DataRow("{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "JSON")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]}}", "twice")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "two keys")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"device\":\"cpu\"}}", "'device'")]
    [DataRow("{\"a\":{\"dtype\":\"F33\",\"shape\":[4],\"data_offsets\":[0,16]}}", "'F33'")]
    [DataRow("{\"a\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,16]}}", "needs 32 bytes")]
    [DataRow("{\"a\":{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,16]}}", "dtype")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", "shape")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[\"4\"],\"data_offsets\":[0,16]}}", "shape")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4.5],\"data_offsets\":[0,16]}}", "whole numbers")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]}}", "whole numbers")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551620],\"data_offsets\":[0,16]}}", "whole numbers")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776,1099511627776],\"data_offsets\":[0,16]}}", "too large")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,16]}}", "too large")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776],\"data_offsets\":[0,4398046511104]}}", "but 16 follow")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}", "data_offsets")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", "data_offsets")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", "data_offsets")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]}}", "begin at 0")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", "but 16 follow")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "begin at 12")]
    [DataRow("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "begin at 4")]
    [DataRow("{}", "promises 0 bytes")]
    public void Load_WrongHeader_ThrowsFormatExceptionSayingWhat(string header, string words)
    {
        byte[] file = SafeTensorsFile.Build(header, new byte[16]);
        var e = Assert.ThrowsExactly<FormatException>(() => Load(file, file.Length));
        StringAssert.Contains(e.Message, words);
        StringAssert.StartsWith(e.Message, "bad.safetensors: ");
    }

    [TestMethod]
    public void Load_TooManyDimensions_ThrowsFormatException()
    {
        string shape = string.Join(',', Enumerable.Repeat(1, 65));
        byte[] file = SafeTensorsFile.Build($"{{\"a\":{{\"dtype\":\"I8\",\"shape\":[{shape}],\"data_offsets\":[0,1]}}}}", [1]);
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => Load(file, file.Length)).Message, "64");
    }

    [TestMethod]
    public void Load_InvalidUtf8_ThrowsFormatException()
    {
        byte[] file = SafeTensorsFile.Small();
        file[Encoding.UTF8.GetBytes("xxxxxxxx{\"").Length] = 0xFF;
        Assert.ThrowsExactly<FormatException>(() => Load(file, file.Length));
    }

    [TestMethod]
    public void Load_HugePromisesInATinyStream_TakeLittleMemory()
    {
        // The claimed length of a stream can be a lie too: here 2^50 bytes for a header of 100 MB that is not there.
        byte[] lie = SafeTensorsFile.Build("{", 100_000_000);
        byte[] huge = SafeTensorsFile.Build("""{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}""");
        long tensors = Tensor.TotalCount;
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.ThrowsExactly<FormatException>(() => Load(lie, 1L << 50));
        Assert.ThrowsExactly<FormatException>(() => Load(huge, huge.Length));

        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.AreEqual(tensors, Tensor.TotalCount);
    }

    private static IReadOnlyDictionary<string, Tensor> Load(byte[] bytes, long length) =>
        TensorFiles.Load(new MemoryStream(bytes), length, "bad.safetensors");
}
