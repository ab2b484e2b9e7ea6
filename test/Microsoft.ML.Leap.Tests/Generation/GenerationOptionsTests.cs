namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GenerationOptionsTests
{
    private static readonly GenerationOptions All = new()
    {
        MaximumNewTokens = 1,
        MinimumNewTokens = 2,
        Temperature = 0.3,
        TopK = 4,
        TopP = 0.5,
        MinP = 0.6,
        TypicalP = 0.7,
        RepetitionPenalty = 1.1,
        PresencePenalty = 0.8,
        FrequencyPenalty = -0.9,
        PenaltyWindow = 10,
        LogProbabilityCount = 11,
        Seed = 12,
        PositionPolicy = PositionPolicy.Clamp,
        LogitBias = new Dictionary<int, float> { [13] = 1.4f },
        BannedTokens = [15],
        StopTokens = [16, 17],
        StopStrings = ["eighteen"],
    };

    public static IEnumerable<object[]> OutOfRange =>
    [
        ["MaximumNewTokens", () => new GenerationOptions { MaximumNewTokens = -1 }],
        ["MinimumNewTokens", () => new GenerationOptions { MinimumNewTokens = -1 }],
        ["Temperature", () => new GenerationOptions { Temperature = -1 }],
        ["Temperature", () => new GenerationOptions { Temperature = double.NaN }],
        ["TopK", () => new GenerationOptions { TopK = -1 }],
        ["TopP", () => new GenerationOptions { TopP = 0 }],
        ["TopP", () => new GenerationOptions { TopP = 1.1 }],
        ["MinP", () => new GenerationOptions { MinP = -0.1 }],
        ["TypicalP", () => new GenerationOptions { TypicalP = double.NaN }],
        ["RepetitionPenalty", () => new GenerationOptions { RepetitionPenalty = 0 }],
        ["PresencePenalty", () => new GenerationOptions { PresencePenalty = double.PositiveInfinity }],
        ["FrequencyPenalty", () => new GenerationOptions { FrequencyPenalty = double.NaN }],
        ["PenaltyWindow", () => new GenerationOptions { PenaltyWindow = -1 }],
        ["LogProbabilityCount", () => new GenerationOptions { LogProbabilityCount = 21 }],
        ["LogitBias", () => new GenerationOptions { LogitBias = new Dictionary<int, float> { [1] = float.NaN } }],
        ["PositionPolicy", () => new GenerationOptions { PositionPolicy = (PositionPolicy)5 }],
    ];

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void Init_OutOfRange_IsRefusedByName(string name, Func<GenerationOptions> make) =>
        Assert.AreEqual(name, Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => make()).ParamName);

    [TestMethod]
    public void Init_NullOrEmpty_IsRefusedByName()
    {
        Assert.AreEqual("StopStrings", Assert.ThrowsExactly<ArgumentException>(() => new GenerationOptions { StopStrings = [""] }).ParamName);
        Assert.AreEqual("BannedTokens", Assert.ThrowsExactly<ArgumentNullException>(() => new GenerationOptions { BannedTokens = null! }).ParamName);
    }

    [TestMethod]
    public void Json_AllSet_RoundTrips()
    {
        using var stream = new MemoryStream();
        SettingsJson.Write(stream, 1, All);
        stream.Position = 0;
        GenerationOptions read = SettingsJson.Read<GenerationOptions>(stream, 1);
        Assert.AreEqual(All, read);
        Assert.AreEqual(All.GetHashCode(), read.GetHashCode());
    }

    [TestMethod]
    public void Equals_AnyDifference_IsUnequal()
    {
        Assert.AreEqual(All, All with { StopTokens = [16, 17] });
        foreach (GenerationOptions other in (GenerationOptions[])
        [
            All with { StopTokens = [16] }, All with { BannedTokens = [] }, All with { StopStrings = ["x"] }, All with { TopP = 0.4 },
            All with { LogitBias = new Dictionary<int, float> { [13] = 1 } }, All with { Seed = null },
            All with { PositionPolicy = PositionPolicy.Throw },
        ])
        {
            Assert.AreNotEqual(All, other);
        }
    }

    [TestMethod]
    public void Init_Collections_AreCopied()
    {
        int[] banned = [1];
        var options = new GenerationOptions { BannedTokens = banned };
        banned[0] = 2;
        Assert.AreEqual(1, options.BannedTokens[0]);
    }
}
