using System.Text;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CheckpointTests
{
    private static readonly LeapConfig _small = new(5, 4, 6, 2, 2);

    [TestMethod]
    [DataRow("tiny_global")]
    [DataRow("tiny_masked")]
    [DataRow("tiny_odd_windows")]
    [DataRow("tiny_windowed")]
    public void ExpectedShapes_OfAFixture_AreThoseOfItsWeights(string fixture)
    {
        const string prefix = "weight.";
        using DisposeScope scope = NewDisposeScope();
        IReadOnlyDictionary<string, Tensor> file = SafeTensors.Load(FixturePath(fixture, "safetensors"));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(FixturePath(fixture, "json")));
        Dictionary<string, long[]> stored = file
            .Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key[prefix.Length..], pair => pair.Value.shape);

        Dictionary<string, long[]> expected = Checkpoint.ExpectedShapes(ConfigOf(json));

        CollectionAssert.AreEquivalent(stored.Keys, expected.Keys);
        foreach ((string name, long[] shape) in expected)
            CollectionAssert.AreEqual(stored[name], shape, name);
    }

    [TestMethod]
    public void ExpectedShapes_InAll_HoldTheConfigsParameterCount()
    {
        var config = new LeapConfig(1000, 64, 128, 5, 4);
        long count = Checkpoint.ExpectedShapes(config).Values.Sum(shape => shape.Aggregate(1L, (a, b) => a * b));
        Assert.AreEqual(config.ParameterCount, count);
    }

    [TestMethod]
    public void WriteThenReadInto_Parameters_AreBitEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> saved = Parameters(_small);
        Dictionary<string, Tensor> loaded = Parameters(_small);
        byte[] file = Write(saved);

        new CheckpointReader(new ForwardOnlyStream(file), file.Length, _small).ReadInto(loaded);

        foreach ((string name, Tensor tensor) in saved)
            Assert.IsTrue(tensor.bytes.SequenceEqual(loaded[name].bytes), name);
    }

    [TestMethod]
    public void Write_OtherTensorsThanTheNetworks_ThrowsArgumentException()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters.Remove("last_norm.bias");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Write(parameters)).Message, "last_norm.bias");
    }

    [TestMethod]
    public void Read_MissingTensor_ThrowsFormatExceptionNamingIt() =>
        AssertRefused("'leap_model.decoders.1.boom.weight' of shape [16, 4] is missing", p => p.Remove("leap_model.decoders.1.boom.weight"));

    [TestMethod]
    public void Read_SurplusTensor_ThrowsFormatExceptionNamingIt() =>
        AssertRefused("'leap_model.decoders.2.boom.weight'", p => p["leap_model.decoders.2.boom.weight"] = ones(16, 4));

    [TestMethod]
    public void Read_MisshapenTensor_ThrowsFormatExceptionNamingIt() =>
        AssertRefused("'word_embedding.weight' must have the shape [5, 4], but has [4, 5]", p => p["word_embedding.weight"] = ones(4, 5));

    [TestMethod]
    public void Read_IntegerTensor_ThrowsFormatExceptionNamingIt() =>
        AssertRefused("'last_norm.bias' must hold floating-point", p => p["last_norm.bias"] = ones([4], dtype: ScalarType.Int32));

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void ReadInto_NonFinite_ThrowsFormatExceptionNamingIt(float bad) =>
        AssertRefused("'last_norm.bias' holds values that are not finite", p => p["last_norm.bias"][2] = bad);

    [TestMethod]
    public void ReadInto_DoubleThatOverflowsSingle_ThrowsFormatException() =>
        AssertRefused("'last_norm.bias' holds values that are not finite", p => p["last_norm.bias"] = full([4], 1e300, dtype: ScalarType.Float64));

    [TestMethod]
    public void ReadInto_TiedMatrixStoredTwice_IsAcceptedOnlyWhenEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters["proj_logits.weight"] = parameters["word_embedding.weight"].clone();
        Dictionary<string, Tensor> loaded = Parameters(_small);
        byte[] file = WriteUnchecked(parameters);
        new CheckpointReader(new MemoryStream(file), file.Length, _small).ReadInto(loaded);
        Assert.IsTrue(loaded["word_embedding.weight"].equal(parameters["word_embedding.weight"]).all().item<bool>());

        AssertRefused("'proj_logits.weight' must equal", p => p["proj_logits.weight"] = p["word_embedding.weight"] + 1e-6f);
        AssertRefused("'proj_logits.weight' must have the shape", p => p["proj_logits.weight"] = ones(5, 5));
    }

    [TestMethod]
    public void Read_HugeConfigWithASmallFile_IsRefusedWithoutTakingMemory()
    {
        byte[] file;
        using (NewDisposeScope())
            file = WriteUnchecked(Parameters(_small));
        var huge = new LeapConfig(int.MaxValue, 1 << 20, int.MaxValue, 6, 4);
        long tensors = Tensor.TotalCount;
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.ThrowsExactly<FormatException>(() => new CheckpointReader(new MemoryStream(file), file.Length, huge));

        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.AreEqual(tensors, Tensor.TotalCount);
    }

    [TestMethod]
    public void ReadInto_TruncatedAnywhere_ThrowsFormatExceptionAndLeaksNothing()
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] file = WriteUnchecked(Parameters(_small));
        Dictionary<string, Tensor> loaded = Parameters(_small);
        long before = Tensor.TotalCount;
        for (int length = 0; length < file.Length; length += 97)
        {
            Assert.ThrowsExactly<FormatException>(
                () => new CheckpointReader(new MemoryStream(file[..length]), file.Length, _small).ReadInto(loaded));
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    private static void AssertRefused(string words, Action<Dictionary<string, Tensor>> spoil)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        spoil(parameters);
        byte[] file = WriteUnchecked(parameters);
        Dictionary<string, Tensor> loaded = Parameters(_small);
        var e = Assert.ThrowsExactly<FormatException>(
            () => new CheckpointReader(new MemoryStream(file), file.Length, _small).ReadInto(loaded));
        StringAssert.StartsWith(e.Message, "model.safetensors: ");
        StringAssert.Contains(e.Message, words);
    }

    private static Dictionary<string, Tensor> Parameters(LeapConfig config) =>
        Checkpoint.ExpectedShapes(config).ToDictionary(pair => pair.Key, pair => rand(pair.Value));

    private static byte[] Write(Dictionary<string, Tensor> parameters)
    {
        using var stream = new MemoryStream();
        Checkpoint.Write(stream, _small, parameters);
        return stream.ToArray();
    }

    private static byte[] WriteUnchecked(Dictionary<string, Tensor> parameters)
    {
        using var stream = new MemoryStream();
        SafeTensorsWriter.Write(stream, parameters);
        return stream.ToArray();
    }

    private static LeapConfig ConfigOf(JsonDocument fixture) =>
        ConfigJson.Read(new MemoryStream(Encoding.UTF8.GetBytes(fixture.RootElement.GetProperty("config").GetRawText())));

    private static string FixturePath(string fixture, string extension) =>
        Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{fixture}.{extension}");
}
