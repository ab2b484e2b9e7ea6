namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapConfigTests
{
    public static IEnumerable<object[]> Faults() =>
    [
        OutOfRange("vocabularySize", "at least 1", () => new LeapConfig(0)),
        OutOfRange("hiddenSize", "at least 1", () => new LeapConfig(10, hiddenSize: 0)),
        OutOfRange("hiddenSize", "at most 1048576", () => new LeapConfig(10, hiddenSize: (1 << 20) + 4)),
        OutOfRange("contextLength", "at least 1", () => new LeapConfig(10, contextLength: -1)),
        OutOfRange("layerCount", "at least 1", () => new LeapConfig(10, layerCount: 0)),
        OutOfRange("headCount", "at least 1", () => new LeapConfig(10, headCount: 0)),
        OutOfRange("dropout", "below 1", () => new LeapConfig(10, dropout: 1)),
        OutOfRange("dropout", "below 1", () => new LeapConfig(10, dropout: -0.1)),
        OutOfRange("dropout", "below 1", () => new LeapConfig(10, dropout: double.NaN)),
        OutOfRange("initializerRange", "over 0", () => new LeapConfig(10, initializerRange: 0)),
        OutOfRange("initializerRange", "finite", () => new LeapConfig(10, initializerRange: double.PositiveInfinity)),
        OutOfRange("rescaleValue", "at most 30", () => new LeapConfig(10, rescaleValue: 0)),
        OutOfRange("rescaleValue", "at most 30", () => new LeapConfig(10, rescaleValue: 30.5)),
        OutOfRange("rescaleValue", "at most 30", () => new LeapConfig(10, rescaleValue: double.NaN)),
        OutOfRange("rescaleValue", "60 x (1 - dropout)", () => new LeapConfig(10, rescaleValue: 25, dropout: 0.6)),
        OutOfRange("windowSizes", "at least 1", () => new LeapConfig(10, layerCount: 2, windowSizes: [4, 0])),
        OutOfRange("convolutionSize", "at most 16", () => new LeapConfig(10, convolutionSize: -1)),
        OutOfRange("convolutionSize", "at most 16", () => new LeapConfig(10, convolutionSize: 17)),
        OutOfRange("focusSize", "at most the 32 values of a head", () => new LeapConfig(10, focusSize: 33)),
        OutOfRange("focusSize", "at least 2", () => new LeapConfig(10, focusSize: 1)),
        Misfit("hiddenSize", "100 is not a multiple of 3", () => new LeapConfig(10, hiddenSize: 100, headCount: 3)),
        Misfit("headCount", "at least 2 values", () => new LeapConfig(10, hiddenSize: 4, headCount: 4)),
        Misfit("windowSizes", "3 in all, but 2", () => new LeapConfig(10, layerCount: 3, windowSizes: [4, 8])),
        Misfit("windowSizes", "at most 256", () => new LeapConfig(10, 1024, 1_000_000, 2, windowSizes: [32_769, 32_768])),
        Misfit("windowSizes", "1030 MiB", () => new LeapConfig(10, 2, int.MaxValue, 1, 1, windowSizes: [30_000_000])),
        Misfit("windowSizes", "at most 256", () => new LeapConfig(10, 1 << 20, int.MaxValue, 2, windowSizes: [int.MaxValue - 1, int.MaxValue - 1], headCount: 1)),
        Misfit("windowSizes", "useLocalAttention is false", () => new LeapConfig(10, layerCount: 1, useLocalAttention: false, windowSizes: [4])),
        Misfit("windowSizes", "useForgetGates is true", () => new LeapConfig(10, layerCount: 1, windowSizes: [4], useForgetGates: true)),
    ];

    [TestMethod]
    [DynamicData(nameof(Faults))]
    public void Constructor_Fault_IsRefusedInWords(Type type, string parameter, string words, Func<LeapConfig> create)
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => create());

        Assert.AreEqual(type, e.GetType());
        Assert.AreEqual(parameter, e.ParamName);
        Assert.Contains(words, e.Message);
        Assert.Contains(parameter, e.Message);
    }

    [TestMethod]
    public void ParameterCount_GreatestNetwork_DoesNotOverflow()
    {
        var config = new LeapConfig(int.MaxValue, 1 << 20, int.MaxValue, 4096, 1, useLocalAttention: false, convolutionSize: 16, focusSize: 2);
        long count = Checkpoint.GetExpectedShapes(config).Values.Sum(shape => shape.Aggregate(1L, (a, b) => checked(a * b)));

        Assert.AreEqual(count, config.ParameterCount);
        Assert.IsGreaterThan(1L << 55, count);
        Assert.IsLessThan(1L << 56, count);
    }

    [TestMethod]
    public void Constructor_Bounds_AreAccepted()
    {
        _ = new LeapConfig(1, hiddenSize: 2, contextLength: 1, layerCount: 1, headCount: 1, dropout: 0);
        _ = new LeapConfig(10, rescaleValue: 30, dropout: 0.5);
        _ = new LeapConfig(10, layerCount: 1, windowSizes: [1]);
        _ = new LeapConfig(10, convolutionSize: 16);
        _ = new LeapConfig(10, focusSize: 2);
        _ = new LeapConfig(10, focusSize: 32);
    }

    [TestMethod]
    [DataRow(2, 1)]
    [DataRow(12, 3)]
    [DataRow(64, 1)]
    public void Constructor_WidestWindows_TakeNoMoreThanTheLimit(int hiddenSize, int headCount)
    {
        // A limit of 1 MiB, so that the state is a small one.
        AppContext.SetData(LeapConfig.WindowMegabytesName, 1);
        try
        {
            int widest = 0;
            for (int step = 1 << 18; step > 0; step /= 2)
                widest += IsAccepted(widest + step) ? step : 0;
            using var state = new NetworkState(new LeapConfig(10, hiddenSize, int.MaxValue, 1, headCount, windowSizes: [widest]));

            // Beside the rows: sums, and what fills each part up to a line.
            Assert.IsLessThan((1 << 20) + 4096, state.SizeInBytes);
            Assert.IsGreaterThan(1 << 19, state.SizeInBytes);
        }
        finally
        {
            AppContext.SetData(LeapConfig.WindowMegabytesName, null);
        }

        bool IsAccepted(int window)
        {
            try
            {
                _ = new LeapConfig(10, hiddenSize, int.MaxValue, 1, headCount, windowSizes: [window]);
                return true;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }
    }

    [TestMethod]
    public void WindowSizes_NotGiven_DoubleFromFourAndEndGlobal()
    {
        CollectionAssert.AreEqual(new[] { 4, 8, 16, 32, 64, 2048 }, new LeapConfig(10).WindowSizes.ToArray());
        CollectionAssert.AreEqual(new[] { 4, 6, 6 }, new LeapConfig(10, contextLength: 6, layerCount: 3).WindowSizes.ToArray());
        CollectionAssert.AreEqual(new[] { 9, 9 }, new LeapConfig(10, contextLength: 9, layerCount: 2, useLocalAttention: false).WindowSizes.ToArray());
        CollectionAssert.AreEqual(new[] { 9, 9 }, new LeapConfig(10, contextLength: 9, layerCount: 2, useForgetGates: true).WindowSizes.ToArray());
        Assert.AreEqual(2048, new LeapConfig(10, layerCount: 100).WindowSizes[98]);
    }

    [TestMethod]
    public void WindowSizes_CallersArrayChangedLater_StayAsGiven()
    {
        int[] windows = [4, 8];
        var config = new LeapConfig(10, layerCount: 2, windowSizes: windows);
        windows[0] = 100;

        CollectionAssert.AreEqual(new[] { 4, 8 }, config.WindowSizes.ToArray());
    }

    [TestMethod]
    public void ToString_Default_NamesTheShape()
    {
        Assert.AreEqual(
            "LEAP: 6 layers, hidden size 128, 4 heads, context 2048, vocabulary 10, windows 4 8 16 32 64 2048, 1,446,410 parameters",
            new LeapConfig(10).ToString());
    }

    [TestMethod]
    public void ToString_WithConvolutions_NamesThemAndCountsTheirWeights()
    {
        Assert.AreEqual(
            "LEAP: 2 layers, hidden size 8, 2 heads, context 16, vocabulary 10, windows 4 16, no position embeddings, convolutions of 4, 1,834 parameters",
            new LeapConfig(10, 8, 16, 2, 2, usePositionEmbeddings: false, convolutionSize: 4).ToString());
    }

    [TestMethod]
    public void ToString_WithASmallerFocus_NamesItAndHasAsManyWeights()
    {
        var full = new LeapConfig(10, 64, 16, 2, 2);
        var smaller = new LeapConfig(10, 64, 16, 2, 2, focusSize: 8);

        Assert.AreEqual("LEAP: 2 layers, hidden size 64, 2 heads, context 16, vocabulary 10, windows 4 16, focus of 8, 100,618 parameters", smaller.ToString());
        Assert.AreEqual(full.ParameterCount, smaller.ParameterCount);
        Assert.AreEqual(32, full.FocusSize);
    }

    [TestMethod]
    public void ToString_WithForgetGates_NamesThemInPlaceOfWindows()
    {
        var config = new LeapConfig(10, 8, 16, 2, 2, usePositionEmbeddings: false, useForgetGates: true);

        Assert.AreEqual("LEAP: 2 layers, hidden size 8, 2 heads, context 16, vocabulary 10, forget gates, no position embeddings, 1,706 parameters", config.ToString());
        Assert.IsFalse(config.UseLocalAttention);
    }

    [TestMethod]
    public void Original_SizesAlone_IsTheNetworkOf2022()
    {
        var config = LeapConfig.Original(97, 24, 32, 3, 2, [3, 9, 32], dropout: 0.25);

        Assert.AreEqual(new LeapConfig(97, 24, 32, 3, 2, true, [3, 9, 32], 8, 0.25, 0.02, true, 0).ToString(), config.ToString());
        Assert.IsTrue(config.UsePositionEmbeddings);
        Assert.IsFalse(config.UseForgetGates);
        Assert.AreEqual((0, config.HeadSize, 8, 0.25, 0.02), (config.ConvolutionSize, config.FocusSize, config.RescaleValue, config.Dropout, config.InitializerRange));
    }

    private static object[] OutOfRange(string parameter, string words, Func<LeapConfig> create) =>
        [typeof(ArgumentOutOfRangeException), parameter, words, create];

    private static object[] Misfit(string parameter, string words, Func<LeapConfig> create) =>
        [typeof(ArgumentException), parameter, words, create];
}
