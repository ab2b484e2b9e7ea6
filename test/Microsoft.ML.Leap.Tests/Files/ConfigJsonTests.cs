using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ConfigJsonTests
{
    private static readonly int[] _defaultWindows = [4, 8, 16, 1024];

    [TestMethod]
    public void WriteThenRead_EveryField_RoundTrips()
    {
        var config = new LeapConfig(97, 48, 77, 3, 6, true, [3, 1000, 5], 7.25, 0.125, 0.0123456789012345, false, 4);
        AssertEqual(config, RoundTrip(config));
    }

    [TestMethod]
    public void WriteThenRead_ForgetGates_RoundTrip()
    {
        var config = new LeapConfig(97, 48, 77, 3, 6, useForgetGates: true);
        AssertEqual(config, RoundTrip(config));
        StringAssert.Contains(Write(config), "\"use_forget_gates\": true");
    }

    [TestMethod]
    public void WriteThenRead_GlobalAttention_RoundTrips()
    {
        var config = new LeapConfig(97, 48, 77, 3, 6, useLocalAttention: false);
        AssertEqual(config, RoundTrip(config));
    }

    [TestMethod]
    public void Write_InACultureWithCommas_HasTheKeysOfTheOriginal()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = new CultureInfo("de-DE");
        try
        {
            string text = Write(new LeapConfig(10, 8, 16, 2, 2, true, [4, 16], 7.5, 0.25, 0.02));
            string compact = text.Replace("\n", "").Replace(" ", "");
            Assert.AreEqual(
                """{"model_type":"LeapForCausalLM","hidden_size":8,"vocab_size":10,"n_positions":16,"n_heads":2,"n_layer":2,"""
                + "\"use_local_att\":true,\"window_sizes\":[4,16],\"rescale_value\":7.5,\"hidden_dropout_prob\":0.25,\"initializer_range\":0.02,"
                + "\"original_revision\":\"1872a3a\"}",
                compact);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    // Its file would load: the original's thirteen revisions after 1872a3a have the same tensors, and compute something else.
    [TestMethod]
    public void Read_LaterRevisionOfTheOriginal_IsRefusedByItsKey()
    {
        FormatException e = Assert.ThrowsExactly<FormatException>(() => Read("""{"n_heads": 4, "rescale": 10}"""));
        StringAssert.Contains(e.Message, "later revision");
        StringAssert.Contains(e.Message, "1872a3a");
    }

    [TestMethod]
    public void Write_NetworkThatTheOriginalLacks_NamesNoRevision()
    {
        Assert.DoesNotContain("original_revision", Write(new LeapConfig(97, 48, 77, 3, 6, usePositionEmbeddings: false)));
        Assert.DoesNotContain("original_revision", Write(new LeapConfig(97, 48, 77, 3, 6, convolutionSize: 4)));
        Assert.DoesNotContain("original_revision", Write(new LeapConfig(97, 48, 77, 3, 6, useForgetGates: true)));
        Assert.DoesNotContain("original_revision", Write(new LeapConfig(97, 48, 77, 3, 6, focusSize: 4)));
    }

    [TestMethod]
    public void Read_EmptyObject_GivesTheOriginalsDefaults()
    {
        LeapConfig config = Read("{}");
        AssertEqual(new LeapConfig(32_100, 256, 1024, 4, 4, true, [4, 8, 16, 1024], 8, 0.1, 0.02), config);
    }

    [TestMethod]
    public void Write_GlobalAttention_NamesNoWindowsWhichTheOriginalRefuses() =>
        Assert.DoesNotContain("window_sizes", Write(new LeapConfig(97, 48, 77, 3, 6, useLocalAttention: false)));

    [TestMethod]
    public void Read_NHead_IsTheNumberOfHeads() => Assert.AreEqual(8, Read("""{"n_head": 8}""").HeadCount);

    [TestMethod]
    public void Read_WhatHuggingFaceAdds_IsIgnored()
    {
        LeapConfig config = Read(
            """
            {
              "architectures": ["LeapForCausalLM"], "model_type": "LeapForCausalLM", "torch_dtype": "float32",
              "transformers_version": "4.25.1", "vocab_size": 50, "window_sizes": null, "id2label": {"0": "LABEL_0"}
            }
            """);
        Assert.AreEqual(50, config.VocabularySize);
        CollectionAssert.AreEqual(_defaultWindows, config.WindowSizes.ToArray());
    }

    [TestMethod]
    public void Read_GlobalWithTheWindowsThatTheOriginalWrites_IsGlobal()
    {
        LeapConfig config = Read("""{"use_local_att": false, "n_layer": 2, "n_positions": 64, "window_sizes": [64, 100]}""");
        Assert.IsFalse(config.UseLocalAttention);
        Assert.IsTrue(config.WindowSizes.SequenceEqual([64, 64]));
    }

    [TestMethod]
    [DataRow("tiny_masked", 97)]
    [DataRow("tiny_odd_windows", 211)]
    public void Read_AFixturesConfig_ReadsIt(string fixture, int vocabularySize)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "Fixtures", fixture + ".json");
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(path));
        Assert.AreEqual(vocabularySize, Read(document.RootElement.GetProperty("config").GetRawText()).VocabularySize);
    }

    [TestMethod]
    [DataRow("", "JSON")]
    [DataRow("[]", "object")]
    [DataRow("3", "object")]
    [DataRow("{\"vocab_size\": 50", "JSON")]
    [DataRow("{\"vocab_size\": 50, \"vocab_size\": 60}", "JSON")]
    [DataRow("{\"model_type\": \"gpt2\"}", "model_type must be \"LeapForCausalLM\", but is \"gpt2\"")]
    [DataRow("{\"model_type\": 3}", "model_type")]
    [DataRow("{\"vocab_size\": \"50\"}", "vocab_size must be a whole number")]
    [DataRow("{\"vocab_size\": 50.5}", "vocab_size")]
    [DataRow("{\"vocab_size\": null}", "vocab_size")]
    [DataRow("{\"vocab_size\": 0}", "vocabularySize")]
    [DataRow("{\"vocab_size\": -1}", "vocabularySize")]
    [DataRow("{\"vocab_size\": 99999999999}", "vocab_size")]
    [DataRow("{\"hidden_size\": 2147483647, \"n_heads\": 1}", "hidden_size")]
    [DataRow("{\"hidden_size\": 130}", "hiddenSize")]
    [DataRow("{\"n_layer\": 2147483647}", "n_layer")]
    [DataRow("{\"n_heads\": 0}", "headCount")]
    [DataRow("{\"use_local_att\": 1}", "use_local_att")]
    [DataRow("{\"window_sizes\": [1, 2]}", "windowSizes")]
    [DataRow("{\"window_sizes\": [1, 2, 3, 4, 5, 0]}", "windowSizes")]
    [DataRow("{\"window_sizes\": [1, 2, 3, 4, 5, \"6\"]}", "window_sizes")]
    [DataRow("{\"window_sizes\": 4}", "window_sizes")]
    [DataRow("{\"use_local_att\": false, \"window_sizes\": [4, 8, 16, 32, 64, 2048]}", "windowSizes")]
    [DataRow("{\"rescale_value\": 31}", "rescaleValue")]
    [DataRow("{\"rescale_value\": \"8\"}", "rescale_value")]
    [DataRow("{\"rescale_value\": 1e999}", "rescaleValue")]
    [DataRow("{\"hidden_dropout_prob\": 1}", "dropout")]
    [DataRow("{\"initializer_range\": 0}", "initializerRange")]
    [DataRow("{\"convolution_size\": 17}", "convolutionSize")]
    [DataRow("{\"convolution_size\": \"4\"}", "convolution_size")]
    [DataRow("{\"use_forget_gates\": 1}", "use_forget_gates")]
    [DataRow("{\"focus_size\": 1}", "focusSize")]
    [DataRow("{\"focus_size\": null}", "focus_size")]
    [DataRow("{\"use_forget_gates\": true, \"n_layer\": 1, \"window_sizes\": [4]}", "useForgetGates is true")]
    [DataRow("{\"model_type\": \"\\ud800\"}", "model_type")]
    [DataRow("{\"\\ud800\": 1, \"vocab_size\": 50}", "JSON")]
    [DataRow("{\"window_sizes\": [4, 200000000, 4, 4], \"n_positions\": 2000000000}", "windowSizes ask for")]
    public void Read_Wrong_ThrowsFormatExceptionSayingWhat(string json, string words)
    {
        var e = Assert.ThrowsExactly<FormatException>(() => Read(json));
        StringAssert.Contains(e.Message, words);
        StringAssert.StartsWith(e.Message, "config.json: ");
    }

    [TestMethod]
    public void Read_OverAMegabyte_ThrowsFormatException()
    {
        string json = "{" + new string(' ', ConfigJson.MaximumLength) + "}";
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => Read(json)).Message, "at most");
    }

    [TestMethod]
    public void Read_TruncatedAnywhere_ThrowsFormatException()
    {
        string json = Write(new LeapConfig(10));
        for (int length = 0; length < json.Length; length++)
            Assert.ThrowsExactly<FormatException>(() => Read(json[..length]));
    }

    private static string Write(LeapConfig config)
    {
        using var stream = new MemoryStream();
        ConfigJson.Write(stream, config);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static LeapConfig Read(string json) => ConfigJson.Read(new ForwardOnlyStream(Encoding.UTF8.GetBytes(json)));

    private static LeapConfig RoundTrip(LeapConfig config) => Read(Write(config));

    private static void AssertEqual(LeapConfig expected, LeapConfig got)
    {
        Assert.AreEqual(expected.VocabularySize, got.VocabularySize);
        Assert.AreEqual(expected.HiddenSize, got.HiddenSize);
        Assert.AreEqual(expected.ContextLength, got.ContextLength);
        Assert.AreEqual(expected.LayerCount, got.LayerCount);
        Assert.AreEqual(expected.HeadCount, got.HeadCount);
        Assert.AreEqual(expected.UseLocalAttention, got.UseLocalAttention);
        Assert.AreEqual(expected.UseForgetGates, got.UseForgetGates);
        CollectionAssert.AreEqual(expected.WindowSizes.ToArray(), got.WindowSizes.ToArray());
        Assert.AreEqual(expected.RescaleValue, got.RescaleValue);
        Assert.AreEqual(expected.Dropout, got.Dropout);
        Assert.AreEqual(expected.InitializerRange, got.InitializerRange);
        Assert.AreEqual(expected.UsePositionEmbeddings, got.UsePositionEmbeddings);
        Assert.AreEqual(expected.ConvolutionSize, got.ConvolutionSize);
        Assert.AreEqual(expected.FocusSize, got.FocusSize);
    }

    // Windows of 304.7 MiB: 4 x 76,800 rows of 256 numbers and one for each of 4 heads.
    [TestMethod]
    [DataRow(null, false)]
    [DataRow(305, true)]
    [DataRow("305", true, DisplayName = "as runtimeconfig.json gives it")]
    [DataRow(304, false)]
    public void Read_WindowsBeyondTheLimit_AreReadWhereTheCallerRaisesIt(object? limit, bool isRead)
    {
        const string Json = """{"window_sizes": [76800, 76800, 76800, 76800], "n_positions": 2000000000}""";
        AppContext.SetData(LeapConfig.WindowMegabytesName, limit);
        try
        {
            if (isRead)
                Assert.AreEqual(76800, Read(Json).WindowSizes[0]);
            else
                StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => Read(Json)).Message, LeapConfig.WindowMegabytesName);
        }
        finally
        {
            AppContext.SetData(LeapConfig.WindowMegabytesName, null);
        }
    }
}
