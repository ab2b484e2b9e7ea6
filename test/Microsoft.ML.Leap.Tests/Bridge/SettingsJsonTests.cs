using System.Text;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SettingsJsonTests
{
    [TestMethod]
    public void WriteThenRead_Settings_RoundTrip()
    {
        var settings = new Settings("Text", 4096, 0.1f, null);
        using var stream = new MemoryStream();
        SettingsJson.Write(stream, 2, settings);
        string text = Encoding.UTF8.GetString(stream.ToArray());

        StringAssert.Contains(text, "\"version\": 2");
        StringAssert.Contains(text, "\"token_budget\": 4096");
        Assert.AreEqual(settings, Read(text, 2));
        Assert.AreEqual(settings, Read(text, 3));
    }

    [TestMethod]
    public void Read_OlderFileWithoutANewSetting_GivesItsDefault() =>
        Assert.AreEqual(
            new Settings("T", 1, 2, "none"), Read("""{"version":1,"settings":{"text_column":"T","token_budget":1,"rate":2}}""", 2));

    [TestMethod]
    public void Read_NewerVersion_SaysSoWhateverElseItHolds()
    {
        var e = Assert.ThrowsExactly<FormatException>(() => Read("""{"version":3,"settings":7,"more":1}""", 2));
        StringAssert.Contains(e.Message, "newer version");
    }

    [TestMethod]
    [DataRow("", "settings cannot be read")]
    [DataRow("[]", "object")]
    [DataRow("{}", "version must be at least 1")]
    [DataRow("{\"version\":\"1\"}", "version")]
    [DataRow("{\"version\":0}", "version")]
    [DataRow("{\"version\":1}", "settings cannot be read")]
    [DataRow("{\"version\":1,\"settings\":null}", "settings cannot be read")]
    [DataRow("{\"version\":1,\"settings\":{\"token_budget\":1,\"rate\":2}}", "text_column")]
    [DataRow("{\"version\":1,\"settings\":{\"text_column\":null,\"token_budget\":1,\"rate\":2}}", "text_column")]
    [DataRow("{\"version\":1,\"settings\":{\"text_column\":\"T\",\"token_budget\":\"1\",\"rate\":2}}", "token_budget")]
    [DataRow("{\"version\":1,\"settings\":{\"text_column\":\"T\",\"token_budget\":1,\"rate\":2,\"other\":3}}", "other")]
    [DataRow("{\"version\":1,\"settings\":{\"text_column\":\"T\",\"token_budget\":-1,\"rate\":2}}", "tokenBudget")]
    public void Read_Wrong_ThrowsFormatExceptionSayingWhat(string json, string words)
    {
        var e = Assert.ThrowsExactly<FormatException>(() => Read(json, 1));
        StringAssert.StartsWith(e.Message, "leap.json: ");
        StringAssert.Contains(e.Message, words);
    }

    [TestMethod]
    public void Read_OverAMegabyte_ThrowsFormatException() =>
        Assert.ThrowsExactly<FormatException>(() => Read(new string(' ', SettingsJson.MaximumLength + 1), 1));

    private static Settings Read(string json, int version) =>
        SettingsJson.Read<Settings>(new ForwardOnlyStream(Encoding.UTF8.GetBytes(json)), version);

    private sealed record Settings(string TextColumn, int TokenBudget, float Rate, string? Note = "none")
    {
        public int TokenBudget { get; } = TokenBudget >= 0
            ? TokenBudget
            : throw new ArgumentOutOfRangeException("tokenBudget", TokenBudget, "tokenBudget must be at least 0.");
    }
}
