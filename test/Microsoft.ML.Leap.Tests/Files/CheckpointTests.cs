using System.Text;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CheckpointTests
{
    private static readonly LeapConfig _small = new(5, 4, 6, 2, 2, convolutionSize: 2);

    [TestMethod]
    [DataRow("tiny_global")]
    [DataRow("tiny_masked")]
    [DataRow("tiny_odd_windows")]
    [DataRow("tiny_windowed")]
    public void ExpectedShapes_OfAFixture_AreThoseOfItsWeights(string fixture)
    {
        const string prefix = "weight.";
        using DisposeScope scope = NewDisposeScope();
        IReadOnlyDictionary<string, Tensor> file = TensorFiles.Load(FixturePath(fixture, "safetensors"));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(FixturePath(fixture, "json")));
        Dictionary<string, long[]> stored = file
            .Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key[prefix.Length..], pair => pair.Value.shape);

        Dictionary<string, long[]> expected = Checkpoint.GetExpectedShapes(ReadConfig(json));

        CollectionAssert.AreEquivalent(stored.Keys, expected.Keys);
        foreach ((string name, long[] shape) in expected)
            CollectionAssert.AreEqual(stored[name], shape, name);
    }

    [TestMethod]
    public void ExpectedShapes_InAll_HoldTheConfigsParameterCount()
    {
        var config = new LeapConfig(1000, 64, 128, 5, 4, convolutionSize: 3, focusSize: 5);
        long count = Checkpoint.GetExpectedShapes(config).Values.Sum(shape => shape.Aggregate(1L, (a, b) => a * b));
        Assert.AreEqual(config.ParameterCount, count);
    }

    [TestMethod]
    public void WriteThenRead_Weights_AreBitEqual()
    {
        Dictionary<string, float[]> saved = Weights(_small);
        byte[] file = Write(saved);

        Dictionary<string, float[]> loaded = Checkpoint.Read(new ForwardOnlyStream(file), file.Length, _small);

        CollectionAssert.AreEquivalent(saved.Keys, loaded.Keys);
        foreach ((string name, float[] weight) in saved)
            CollectionAssert.AreEqual(weight, loaded[name], name);
    }

    [TestMethod]
    [DataRow(WeightFormat.BFloat16, 1.0 / 256)]
    [DataRow(WeightFormat.Int8, 0.5 / 127)]
    public void WriteThenRead_SmallerFormat_RoundsMatricesAlone(WeightFormat format, double bound)
    {
        Dictionary<string, float[]> saved = Weights(_small);
        byte[] file = Write(saved, format);

        Dictionary<string, float[]> loaded = Checkpoint.Read(new MemoryStream(file), file.Length, _small);

        // Weights are below 1, and rows have some near it.
        CollectionAssert.AreEquivalent(saved.Keys, loaded.Keys);
        foreach ((string name, long[] shape) in Checkpoint.GetExpectedShapes(_small))
        {
            double error = saved[name].Zip(loaded[name], (a, b) => Math.Abs((double)a - b)).Max();
            if (shape.Length == 1 || name.EndsWith("convolution.weight", StringComparison.Ordinal))
                Assert.AreEqual(0, error, name);
            else
                Assert.IsTrue(error > 0 && error <= bound, $"{name}: {error}");
        }

        // What was rounded stays as it is.
        byte[] again = Write(loaded, format);
        CollectionAssert.AreEqual(file, again);
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32)]
    [DataRow(WeightFormat.BFloat16)]
    [DataRow(WeightFormat.Int8)]
    public void WriteThenRead_GreatestNumbers_StayFinite(WeightFormat format)
    {
        Dictionary<string, float[]> saved = Weights(_small);
        saved["word_embedding.weight"][2] = float.MaxValue;
        saved["word_embedding.weight"][5] = -float.MaxValue;
        byte[] file = Write(saved, format);

        Dictionary<string, float[]> loaded = Checkpoint.Read(new MemoryStream(file), file.Length, _small);

        Assert.AreEqual(1, loaded["word_embedding.weight"][2] / float.MaxValue, 0.01);
        Assert.AreEqual(-1, loaded["word_embedding.weight"][5] / float.MaxValue, 0.01);
        AssertSameNetworks(file, _small);
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32)]
    [DataRow(WeightFormat.BFloat16)]
    public void Write_MatrixOfSeveralPieces_WritesEachValueOnce(WeightFormat format)
    {
        // 1.2 pieces, in words of few bits, which no format rounds.
        var config = new LeapConfig(10_000, 32, 6, 1, 1);
        Dictionary<string, float[]> weights = Weights(config);
        float[] words = [.. Enumerable.Range(0, 320_000).Select(i => (float)(i % 251))];
        weights["word_embedding.weight"] = words;
        using var stream = new MemoryStream();
        Checkpoint.Write(stream, config, weights, format);
        stream.Position = 0;

        CollectionAssert.AreEqual(words, Checkpoint.Read(stream, stream.Length, config)["word_embedding.weight"]);
    }

    [TestMethod]
    public void Compute_MatrixOfSeveralPieces_DependsOnEachValue()
    {
        var config = new LeapConfig(10_000, 32, 6, 1, 1);
        Dictionary<string, float[]> weights = Weights(config);
        byte[] fingerprint = ModelFingerprint.Compute(config, weights);
        CollectionAssert.AreEqual(fingerprint, ModelFingerprint.Compute(config, weights));
        foreach (int place in new[] { 0, (1 << 18) - 1, 1 << 18, 319_999 })
        {
            float before = weights["word_embedding.weight"][place];
            weights["word_embedding.weight"][place] = 2;
            CollectionAssert.AreNotEqual(fingerprint, ModelFingerprint.Compute(config, weights), $"{place}");
            weights["word_embedding.weight"][place] = before;
        }
    }

    [TestMethod]
    public void Write_Int8_TakesAQuarter()
    {
        var config = new LeapConfig(1000, 64, 16, 2, 2);
        Dictionary<string, float[]> weights = Weights(config);
        using var single = new MemoryStream();
        using var small = new MemoryStream();
        Checkpoint.Write(single, config, weights);
        Checkpoint.Write(small, config, weights, WeightFormat.Int8);
        Assert.IsLessThan(0.3, (double)small.Length / single.Length);
    }

    [TestMethod]
    public void Write_OtherWeightsThanTheNetworks_ThrowsArgumentException()
    {
        Dictionary<string, float[]> weights = Weights(_small);
        weights.Remove("last_norm.bias");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Write(weights)).Message, "last_norm.bias");
    }

    [TestMethod]
    public void Read_HalfAndDouble_ConvertToSingle()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters["last_norm.bias"] = tensor([1, -2.5, 0, 3]).to(ScalarType.Float16);
        parameters["last_norm.weight"] = tensor([1, -2.5, 0, 3], dtype: ScalarType.Float64);
        parameters["proj_logits.bias"] = tensor([1, -2.5, 0, 3, 4]).to(ScalarType.BFloat16);
        byte[] file = WriteUnchecked(parameters);

        Dictionary<string, float[]> loaded = Checkpoint.Read(new MemoryStream(file), file.Length, _small);

        CollectionAssert.AreEqual(new[] { 1, -2.5f, 0, 3 }, loaded["last_norm.bias"]);
        CollectionAssert.AreEqual(new[] { 1, -2.5f, 0, 3 }, loaded["last_norm.weight"]);
        CollectionAssert.AreEqual(new[] { 1, -2.5f, 0, 3, 4 }, loaded["proj_logits.bias"]);
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
    public void Read_Int8MatrixWithoutScales_ThrowsFormatExceptionNamingThem() =>
        AssertRefused("'word_embedding.weight.scale'", p => p["word_embedding.weight"] = ones([5, 4], dtype: ScalarType.Int8));

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Read_Int8MatrixThatItsScalesMakeInfinite_ThrowsFormatExceptionNamingIt(bool scalesComeLast)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters["word_embedding.weight"] = full([5, 4], 100, dtype: ScalarType.Int8);
        parameters["word_embedding.weight.scale"] = full([5], 3e38f);
        byte[] file = WriteUnchecked(parameters);
        file = scalesComeLast ? Reverse(file) : file;

        AssertNotFinite(() => Checkpoint.Read(new MemoryStream(file), file.Length, _small));
        AssertNotFinite(() => Checkpoint.ReadNetwork(new MemoryStream(file), file.Length, _small, WeightFormat.Float32, 1));

        static void AssertNotFinite(Action read) => StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(read).Message, "'word_embedding.weight' holds values that are not finite");
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void Read_NonFinite_ThrowsFormatExceptionNamingIt(float bad) =>
        AssertRefused("'last_norm.bias' holds values that are not finite", p => p["last_norm.bias"][2] = bad);

    [TestMethod]
    public void Read_DoubleThatOverflowsSingle_ThrowsFormatException() =>
        AssertRefused("'last_norm.bias' holds values that are not finite", p => p["last_norm.bias"] = full([4], 1e300, dtype: ScalarType.Float64));

    [TestMethod]
    public void Read_TiedMatrixStoredTwice_IsAcceptedOnlyWhenEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters["proj_logits.weight"] = parameters["word_embedding.weight"].clone();
        byte[] file = WriteUnchecked(parameters);
        Dictionary<string, float[]> loaded = Checkpoint.Read(new MemoryStream(file), file.Length, _small);
        CollectionAssert.AreEqual(parameters["word_embedding.weight"].data<float>().ToArray(), loaded["word_embedding.weight"]);

        AssertRefused("'proj_logits.weight' must equal", p => p["proj_logits.weight"] = p["word_embedding.weight"] + 1e-6f);
        AssertRefused("'proj_logits.weight' must have the shape", p => p["proj_logits.weight"] = ones(5, 5));
    }

    // safetensors' save_model keeps one name of a tied tensor, and not always the same.
    [TestMethod]
    public void Read_TiedMatrixUnderTheOutputsName_IsTheEmbedding()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters.Remove("word_embedding.weight", out Tensor? embedding);
        parameters["proj_logits.weight"] = embedding!;
        byte[] file = WriteUnchecked(parameters);
        Dictionary<string, float[]> loaded = Checkpoint.Read(new MemoryStream(file), file.Length, _small);
        CollectionAssert.AreEqual(embedding!.data<float>().ToArray(), loaded["word_embedding.weight"]);
        Assert.IsFalse(loaded.ContainsKey("proj_logits.weight"));
        AssertSameNetworks(file, _small);
        AssertRefused("'word_embedding.weight' of shape", p => p.Remove("word_embedding.weight"));
    }

    [TestMethod]
    public void Read_HugeConfigWithASmallFile_IsRefusedWithoutTakingMemory()
    {
        byte[] file = Write(Weights(_small));
        var huge = new LeapConfig(int.MaxValue, 1 << 20, int.MaxValue, 6, 4, useLocalAttention: false);
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.ThrowsExactly<FormatException>(() => Checkpoint.Read(new MemoryStream(file), file.Length, huge));

        Assert.IsLessThan(1 << 20, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [TestMethod]
    public void Read_TruncatedAnywhere_ThrowsFormatException()
    {
        byte[] file = Write(Weights(_small));
        for (int length = 0; length < file.Length; length += 97)
            Assert.ThrowsExactly<FormatException>(() => Checkpoint.Read(new MemoryStream(file[..length]), file.Length, _small));
    }

    [TestMethod]
    [DataRow(WeightFormat.Float32)]
    [DataRow(WeightFormat.BFloat16)]
    [DataRow(WeightFormat.Int8)]
    public void ReadNetwork_AnyFormat_HoldsWhatReadReturns(WeightFormat stored)
    {
        // The word vectors come in several pieces, and no power of 2 is a whole number of their rows.
        var config = new LeapConfig(3000, 12, 6, 2, 2, convolutionSize: 2);
        using var stream = new MemoryStream();
        Checkpoint.Write(stream, config, Weights(config), stored);
        AssertSameNetworks(stream.ToArray(), config);
    }

    [TestMethod]
    public void ReadNetwork_TiedMatrixStoredTwice_HoldsWhatReadReturns()
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        parameters["proj_logits.weight"] = parameters["word_embedding.weight"].clone();
        AssertSameNetworks(WriteUnchecked(parameters), _small);
    }

    [TestMethod]
    public void ReadNetwork_ScalesAfterTheirMatrices_HoldsWhatReadReturns()
    {
        byte[] file = Write(Weights(_small), WeightFormat.Int8);
        byte[] reversed = Reverse(file);
        AssertSameNetworks(reversed, _small);

        Dictionary<string, float[]> expected = Checkpoint.Read(new MemoryStream(file), file.Length, _small);
        foreach ((string name, float[] values) in Checkpoint.Read(new MemoryStream(reversed), reversed.Length, _small))
            CollectionAssert.AreEqual(expected[name], values, name);
    }

    [TestMethod]
    public void ReadNetwork_NonFiniteMatrix_ThrowsFormatException()
    {
        Dictionary<string, float[]> weights = Weights(_small);
        weights["word_embedding.weight"][7] = float.NaN;
        byte[] file = Write(weights);
        var e = Assert.ThrowsExactly<FormatException>(() => Checkpoint.ReadNetwork(new MemoryStream(file), file.Length, _small, WeightFormat.Float32, 1));
        StringAssert.Contains(e.Message, "'word_embedding.weight' holds values that are not finite");
    }

    private static void AssertSameNetworks(byte[] file, LeapConfig config)
    {
        Dictionary<string, float[]> weights = Checkpoint.Read(new MemoryStream(file), file.Length, config);
        foreach (WeightFormat held in Enum.GetValues<WeightFormat>())
        {
            using var expected = new LeapNetwork(config, weights, held);
            using LeapNetwork network = Checkpoint.ReadNetwork(new ForwardOnlyStream(file), file.Length, config, held, threadCount: 1);
            Dictionary<string, float[]> actual = network.GetWeights();
            foreach ((string name, float[] values) in expected.GetWeights())
                CollectionAssert.AreEqual(values, actual[name], $"{name}, {held}");
        }
    }

    private static void AssertRefused(string words, Action<Dictionary<string, Tensor>> spoil)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> parameters = Parameters(_small);
        spoil(parameters);
        byte[] file = WriteUnchecked(parameters);
        var e = Assert.ThrowsExactly<FormatException>(() => Checkpoint.Read(new MemoryStream(file), file.Length, _small));
        StringAssert.StartsWith(e.Message, "model.safetensors: ");
        StringAssert.Contains(e.Message, words);
    }

    private static Dictionary<string, float[]> Weights(LeapConfig config)
    {
        var random = new Random(1);
        return Checkpoint.GetExpectedShapes(config).ToDictionary(
            pair => pair.Key,
            pair => Enumerable.Range(0, (int)pair.Value.Aggregate(1L, (a, b) => a * b)).Select(_ => (float)random.NextDouble()).ToArray());
    }

    private static Dictionary<string, Tensor> Parameters(LeapConfig config) =>
        Weights(config).ToDictionary(pair => pair.Key, pair => tensor(pair.Value, Checkpoint.GetExpectedShapes(config)[pair.Key]));

    private static byte[] Write(Dictionary<string, float[]> weights, WeightFormat format = WeightFormat.Float32)
    {
        using var stream = new MemoryStream();
        Checkpoint.Write(stream, _small, weights, format);
        return stream.ToArray();
    }

    private static byte[] WriteUnchecked(Dictionary<string, Tensor> parameters)
    {
        using var stream = new MemoryStream();
        TensorFiles.Write(stream, parameters);
        return stream.ToArray();
    }

    // The same tensors, the last first.
    private static byte[] Reverse(byte[] file)
    {
        using var stream = new MemoryStream(file);
        SafeTensorInfo[] tensors = [.. SafeTensorsHeader.Read(stream, file.Length, "file").Reverse()];
        int start = (int)stream.Position;
        long end = 0;
        IEnumerable<string> entries = tensors.Select(tensor =>
        {
            long begin = end;
            end += tensor.End - tensor.Begin;
            return $$"""
                "{{tensor.Name}}": {"dtype": "{{tensor.Type.GetName()}}", "shape": [{{string.Join(", ", tensor.Shape)}}], "data_offsets": [{{begin}}, {{end}}]}
                """;
        });
        return SafeTensorsFile.Build(
            $"{{{string.Join(", ", entries)}}}", [.. tensors.Select(tensor => file[(start + (int)tensor.Begin)..(start + (int)tensor.End)])]);
    }

    private static LeapConfig ReadConfig(JsonDocument fixture) =>
        ConfigJson.Read(new MemoryStream(Encoding.UTF8.GetBytes(fixture.RootElement.GetProperty("config").GetRawText())));

    private static string FixturePath(string fixture, string extension) =>
        Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{fixture}.{extension}");
}
